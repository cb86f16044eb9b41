//! The nodes of a cluster, as the catalog knows them.

use std::net::SocketAddr;

use crate::{
    item::{Corrupt, ItemBuilder, ItemRef, MapRef},
    record::{Fields, push_list, push_number, push_text},
    ring::NodeId,
};

/// A process on a host, for ever: its number is never given to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number in the cluster.
    pub number: NodeId,
    /// What its data directory was founded with: one that was emptied has another.
    pub id: u128,
    /// What people call it.
    pub name: String,
    /// What fails together with it: replicas of a vnode are in different zones.
    pub zone: String,
    /// Where other nodes reach its shards, by shard.
    pub addresses: Vec<SocketAddr>,
    /// Where clients reach it, if they do.
    pub http: Option<SocketAddr>,
    /// What it is to be.
    pub state: NodeState,
}

/// What a node is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It keeps vnodes.
    Active,
    /// Its vnodes are moved to others.
    Draining,
    /// It keeps nothing any more, and never will.
    Removed,
}

impl NodeState {
    const ALL: [NodeState; 3] = [NodeState::Active, NodeState::Draining, NodeState::Removed];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            NodeState::Active => "active",
            NodeState::Draining => "draining",
            NodeState::Removed => "removed",
        }
    }

    fn from_name(name: &str) -> Option<NodeState> {
        NodeState::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl Node {
    fn push(&self, out: &mut ItemBuilder) {
        push_number(out, "number", u64::from(self.number.0));
        out.name("id");
        out.binary(&self.id.to_be_bytes()).expect("a value may be anything");
        push_text(out, "name", &self.name);
        push_text(out, "zone", &self.zone);
        push_list(out, "addresses", &self.addresses, |out, address| {
            push_text(out, "at", &address.to_string())
        });
        if let Some(http) = self.http {
            push_text(out, "http", &http.to_string());
        }
        push_text(out, "state", self.state.name());
    }

    fn read(map: MapRef<'_>) -> Result<Node, Corrupt> {
        let mut fields = Fields::new(map);
        let node = Node {
            number: NodeId(fields.number_as("number")?),
            id: read_id(fields.binary("id")?)?,
            name: fields.text("name")?.to_string(),
            zone: fields.text("zone")?.to_string(),
            addresses: fields.list("addresses", |map| {
                let mut fields = Fields::new(map);
                let address = fields.word("at", |text| text.parse().ok())?;
                fields.end()?;
                Ok(address)
            })?,
            http: fields.optional("http", |fields, name| fields.word(name, |text| text.parse().ok()))?,
            state: fields.word("state", NodeState::from_name)?,
        };
        fields.end()?;
        Ok(node)
    }

    /// The node as an item of its own.
    pub fn to_item(&self) -> Vec<u8> {
        let mut builder = ItemBuilder::new();
        builder.begin_item();
        self.push(&mut builder);
        builder.finish()
    }

    /// Reads an item that is a node.
    pub fn from_item(item: ItemRef<'_>) -> Result<Node, Corrupt> {
        Node::read(item.as_map())
    }
}

fn read_id(bytes: &[u8]) -> Result<u128, Corrupt> {
    let bytes = bytes.try_into().map_err(|_| Corrupt::new("a node's id is not 16 bytes", 0))?;
    Ok(u128::from_be_bytes(bytes))
}

//! The changes of the cluster that may be asked for, and whether they may be made.
//!
//! Nodes come, come back, drain and go; replicas are moved, and their groups report. Everything may be asked twice: an
//! answer that got lost is asked for again, and finds things as they were to be. What cannot be is refused with what is
//! wrong and what to do.
//!
//! Who a node is, its data directory's id says, and nothing else: a name or an address alone is nobody. So an emptied disk
//! under an old name, two nodes of one name, and a directory under another name than it had are each told apart.

use super::state::{Next, State};
use model::error::ApiError;
use model::node::{Node, NodeState};
use model::placement::{REPLICAS_WANTED, finish, replace, transfer};
use model::ring::{CATALOG, NodeId, PeerId, Replicas, Role, ShardId, VnodeId};
use net::message::{
    ArchivedCluster, ArchivedMember, ArchivedMoveReplica, ArchivedPrefer, ArchivedRemove, ArchivedReport,
    Reply,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Bytes of a node's or a zone's name at most.
const NAME_BYTES_MAX: usize = 64;

/// A change of the cluster, out of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// A node comes, or comes back with the number that it has.
    Come(Option<NodeId>, Box<Node>),
    /// A node drains, or does not any more.
    Set(NodeId, NodeState),
    /// A node is gone for ever.
    Remove(NodeId, bool),
    /// A replica goes to another node.
    Move { vnode: VnodeId, from: NodeId, to: (NodeId, Option<ShardId>) },
    /// Another replica leads.
    Prefer(VnodeId, NodeId),
    /// A group is what was asked for.
    Report { vnode: VnodeId, epoch: u64, voters: BTreeSet<PeerId> },
    /// Moves are begun, or not.
    Pause(bool),
}

/// What is to be done.
pub(crate) enum Plan {
    /// Write this, then answer.
    Write(Box<Next>, Reply),
    /// It is so already.
    Nothing(Reply),
}

impl Member {
    /// Takes a change out of its message; what is wrong with it, in words for people.
    pub(crate) fn read(change: &ArchivedCluster) -> Result<Member, ApiError> {
        Ok(match change {
            ArchivedCluster::Join(member) => Member::Come(None, read_node(member, NodeId(0))?),
            ArchivedCluster::Announce(announce) => {
                let number = NodeId(announce.node.to_native());
                Member::Come(Some(number), read_node(&announce.member, number)?)
            }
            ArchivedCluster::Drain(number) => Member::Set(NodeId(number.to_native()), NodeState::Draining),
            ArchivedCluster::Activate(number) => Member::Set(NodeId(number.to_native()), NodeState::Active),
            ArchivedCluster::Remove(ArchivedRemove { node: number, force }) => {
                Member::Remove(NodeId(number.to_native()), *force)
            }
            ArchivedCluster::Move(ArchivedMoveReplica { vnode, from, to, shard }) => Member::Move {
                vnode: VnodeId(vnode.to_native()),
                from: NodeId(from.to_native()),
                to: (NodeId(to.to_native()), shard.as_ref().map(|shard| ShardId(shard.to_native()))),
            },
            ArchivedCluster::Prefer(ArchivedPrefer { vnode, node: number }) => {
                Member::Prefer(VnodeId(vnode.to_native()), NodeId(number.to_native()))
            }
            ArchivedCluster::Report(ArchivedReport { vnode, epoch, voters }) => Member::Report {
                vnode: VnodeId(vnode.to_native()),
                epoch: epoch.to_native(),
                voters: voters.iter().map(|peer| PeerId(peer.to_native())).collect(),
            },
            ArchivedCluster::Pause(pause) => Member::Pause(*pause),
            ArchivedCluster::Status => unreachable!("a question changes nothing"),
        })
    }

    /// What it comes to, from this state on. `is_up` knows which nodes are there.
    pub(crate) fn plan(self, state: &State, is_up: impl Fn(NodeId) -> bool) -> Result<Plan, ApiError> {
        if state.is_alone() {
            return refuse(
                "this node is alone and no cluster: found one with `torc ctl cluster init`, on new data directories",
            );
        }
        match self {
            Member::Come(Some(number), node) => come_back(number, *node, state),
            Member::Come(None, node) => join(*node, state, is_up),
            Member::Set(number, to) => set(number, to, state),
            Member::Remove(number, force) => remove(number, force, state, is_up),
            Member::Move { vnode, from, to } => {
                let replicas = replace(&state.map(), vnode, from, to, state.next_peer);
                Ok(write(state.with_replicas(vnode, replicas.map_err(ApiError::validation)?)))
            }
            Member::Prefer(vnode, node) => prefer(vnode, node, state),
            Member::Report { vnode, epoch, voters } => Ok(report(vnode, epoch, &voters, state)),
            Member::Pause(pause) if pause == state.is_paused => Ok(Plan::Nothing(Reply::Done)),
            Member::Pause(pause) => Ok(write(state.with_pause(pause))),
        }
    }
}

fn write(next: Next) -> Plan {
    Plan::Write(Box::new(next), Reply::Done)
}

fn refuse<T>(why: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::validation(why))
}

/// A member's words, checked.
fn read_node(member: &ArchivedMember, number: NodeId) -> Result<Box<Node>, ApiError> {
    let word = |what: &str, text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(text.to_string());
        }
        refuse(format!("a {what} has 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` or `.`"))
    };
    let address = |text: &str| match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 && !address.ip().is_unspecified() => Ok(address),
        _ => refuse(format!("`{text}` is no address that other nodes can reach: give IP:PORT")),
    };
    let addresses: Result<Vec<SocketAddr>, ApiError> =
        member.addresses.iter().map(|text| address(text.as_str())).collect();
    let node = Node {
        number,
        id: member.id.to_native(),
        name: word("node's name", member.name.as_str())?,
        zone: word("zone's name", member.zone.as_str())?,
        addresses: addresses?,
        http: member.http.as_ref().map(|text| address(text.as_str())).transpose()?,
        state: NodeState::Active,
    };
    let different: BTreeSet<&SocketAddr> = node.addresses.iter().collect();
    if node.addresses.is_empty() || different.len() != node.addresses.len() {
        return refuse("a node has an address for each of its shards, all of them different");
    }
    Ok(Box::new(node))
}

/// A node that may be new: the id of its data directory says whether it is.
fn join(mut node: Node, state: &State, is_up: impl Fn(NodeId) -> bool) -> Result<Plan, ApiError> {
    if let Some(known) = state.nodes.values().find(|known| known.id == node.id) {
        let number = known.number;
        return come_back(number, Node { number, ..node }, state);
    }
    let namesake = state.nodes.values().find(|known| known.name == node.name);
    if let Some(known) = namesake.filter(|known| known.state != NodeState::Removed) {
        let (name, number) = (&known.name, known.number.0);
        return refuse(match is_up(known.number) {
            true => format!(
                "there is a node `{name}` already (number {number}), and it is alive: choose another name for the new one"
            ),
            false => format!(
                "there is a node `{name}` already (number {number}), with another data directory: start it with that one; \
                 or, if that is lost for ever, remove the old node first (`torc ctl remove {name} --force`)"
            ),
        });
    }
    addresses_are_free(&node, state)?;
    node.number = match u16::try_from(state.next_node) {
        Ok(number) => NodeId(number),
        Err(_) => return refuse("no more nodes can join: their numbers have run out"),
    };
    let number = node.number.0;
    Ok(Plan::Write(Box::new(state.with_node(node)), Reply::Joined(number)))
}

/// A node that says who it is.
fn come_back(number: NodeId, node: Node, state: &State) -> Result<Plan, ApiError> {
    let Some(known) = state.nodes.get(&number) else {
        return refuse(format!(
            "this cluster has no node {}: its data directory belongs to another cluster, or to a copy of this one",
            number.0
        ));
    };
    if known.id != node.id {
        return refuse(format!(
            "node {} (`{}`) has another data directory: start it with that one, or empty this one and let it join as a new node",
            number.0, known.name
        ));
    }
    if known.state == NodeState::Removed {
        return refuse(format!(
            "node {} (`{}`) was removed from this cluster and cannot come back: empty its data directory and let it join as a new node",
            number.0, known.name
        ));
    }
    if known.name != node.name {
        return refuse(format!(
            "this data directory belongs to node {}, which is called `{}`: start it under that name, or empty the directory",
            number.0, known.name
        ));
    }
    if known.addresses.len() != node.addresses.len() {
        return refuse(format!(
            "node {} (`{}`) has {} shards, which never changes: start it with as many instead of {}",
            number.0,
            known.name,
            known.addresses.len(),
            node.addresses.len()
        ));
    }
    addresses_are_free(&node, state)?;
    let node = Node { state: known.state, ..node };
    let joined = Reply::Joined(number.0);
    if node == **known {
        return Ok(Plan::Nothing(joined));
    }
    Ok(Plan::Write(Box::new(state.with_node(node)), joined))
}

/// No other node listens where this one says it does.
fn addresses_are_free(node: &Node, state: &State) -> Result<(), ApiError> {
    let others = state.nodes.values();
    let others = others.filter(|known| known.id != node.id && known.state != NodeState::Removed);
    for known in others {
        if let Some(address) = node.addresses.iter().find(|address| known.addresses.contains(address)) {
            return refuse(format!(
                "{address} is where node {} (`{}`) is reached: choose another port, or remove that node first if it is gone for ever",
                known.number.0, known.name
            ));
        }
    }
    Ok(())
}

fn known(number: NodeId, state: &State) -> Result<&Node, ApiError> {
    match state.nodes.get(&number) {
        Some(node) => Ok(node),
        None => refuse(format!("this cluster has no node {}", number.0)),
    }
}

/// Drains a node, or takes that back.
fn set(number: NodeId, to: NodeState, state: &State) -> Result<Plan, ApiError> {
    let node = known(number, state)?;
    if node.state == NodeState::Removed {
        return refuse(format!("node {} (`{}`) was removed, for ever", number.0, node.name));
    }
    if node.state == to {
        return Ok(Plan::Nothing(Reply::Done));
    }
    let active = state.nodes.values().filter(|node| node.state == NodeState::Active).count();
    let most = all(state).map(|replicas| replicas.target().count()).max().unwrap_or(1).min(REPLICAS_WANTED);
    if to == NodeState::Draining && active <= most {
        return refuse(format!(
            "a vnode has {most} replicas, each on another node, and without `{}` there are {} nodes for them: let another one join first",
            node.name,
            active - 1
        ));
    }
    Ok(write(state.with_node(Node { state: to, ..node.clone() })))
}

fn remove(
    number: NodeId,
    force: bool,
    state: &State,
    is_up: impl Fn(NodeId) -> bool,
) -> Result<Plan, ApiError> {
    let node = known(number, state)?;
    if node.state == NodeState::Removed {
        return Ok(Plan::Nothing(Reply::Done));
    }
    let kept = all(state).filter(|replicas| replicas.iter().any(|one| one.place.node == number)).count();
    if kept > 0 && !force {
        return refuse(format!(
            "node {} (`{}`) keeps {kept} replicas: drain it first, or, if it is gone for ever, remove it by force",
            number.0, node.name
        ));
    }
    if kept > 0 && is_up(number) {
        return refuse(format!(
            "node {} (`{}`) is alive and keeps {kept} replicas: drain it, or stop it before it is removed by force",
            number.0, node.name
        ));
    }
    if all(state).any(|replicas| loses_majority(&replicas, number, state)) {
        return refuse(format!(
            "without node {} (`{}`) most replicas of a vnode are gone for ever, and with them writes that were acknowledged: bring it back",
            number.0, node.name
        ));
    }
    Ok(write(state.with_node(Node { state: NodeState::Removed, ..node.clone() })))
}

/// Whether with this node most of a group's voters were removed: then nobody can replace them.
fn loses_majority(replicas: &Replicas, number: NodeId, state: &State) -> bool {
    let is_gone = |node: NodeId| {
        node == number || state.nodes.get(&node).is_none_or(|node| node.state == NodeState::Removed)
    };
    let voters = || replicas.iter().filter(|replica| replica.role != Role::Joining);
    let gone = voters().filter(|replica| is_gone(replica.place.node)).count();
    voters().any(|replica| replica.place.node == number) && 2 * gone >= voters().count()
}

fn prefer(vnode: VnodeId, node: NodeId, state: &State) -> Result<Plan, ApiError> {
    let replicas = transfer(&state.map(), vnode, node).map_err(ApiError::validation)?;
    if Some(replicas) == state.map().replicas(vnode) {
        return Ok(Plan::Nothing(Reply::Done));
    }
    Ok(write(state.with_replicas(vnode, replicas)))
}

/// A group says who votes in it. It counts when the group followed the present wish, or a later map, and is what was wished:
/// what comes late, or twice, changes nothing, and who says so hears that it is done.
fn report(vnode: VnodeId, epoch: u64, voters: &BTreeSet<PeerId>, state: &State) -> Plan {
    let Some(set_in) = state.set_in.get(&vnode).copied() else { return Plan::Nothing(Reply::Done) };
    let replicas = match vnode {
        CATALOG => state.catalog,
        _ => state.ring.vnode(vnode).expect("what is on the move is in the ring").replicas,
    };
    let target: BTreeSet<PeerId> = replicas.target().map(|replica| replica.peer).collect();
    if epoch < set_in || *voters != target {
        return Plan::Nothing(Reply::Done);
    }
    write(state.with_replicas(vnode, finish(&replicas)))
}

/// The replicas of the catalog and of all vnodes.
fn all(state: &State) -> impl Iterator<Item = Replicas> {
    std::iter::once(state.catalog).chain(state.ring.vnodes().map(|vnode| vnode.replicas))
}

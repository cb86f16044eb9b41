//! Clusters for people and for programs: tables, and one JSON object.

use std::collections::BTreeMap;

use model::map::Map;
use model::node::NodeState;
use model::ring::{CATALOG, NodeId, Replicas, Role};
use net::message::ArchivedClusterStatus;
use serde_json::json;

/// What the catalog's leader said.
pub struct Status {
    pub version: u64,
    pub epoch: u64,
    pub leader: u16,
    pub paused: bool,
    pub moving: u32,
    pub left: u32,
    /// By number: whether it is up, and the milliseconds since it was heard of.
    nodes: BTreeMap<u16, (bool, Option<u64>)>,
}

impl Status {
    /// Out of its message.
    pub fn read(status: &ArchivedClusterStatus) -> Status {
        let node = |node: &net::message::ArchivedNodeStatus| {
            (node.node.to_native(), (node.up, node.seen_ms.as_ref().map(|ms| ms.to_native())))
        };
        Status {
            version: status.version.to_native(),
            epoch: status.epoch.to_native(),
            leader: status.leader.to_native(),
            paused: status.paused,
            moving: status.moving.to_native(),
            left: status.left.to_native(),
            nodes: status.nodes.iter().map(node).collect(),
        }
    }

    /// Whether every node that should be there is.
    pub fn all_are_up(&self) -> bool {
        self.nodes.values().all(|(up, _)| *up)
    }

    /// Leaves out nodes that are removed: nobody waits for them.
    pub fn without_removed(mut self, map: &Map) -> Status {
        self.nodes.retain(|number, _| {
            map.nodes.get(&NodeId(*number)).is_some_and(|node| node.state != NodeState::Removed)
        });
        self
    }

    /// Whether the catalog's leader hears of it.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes.get(&node.0).is_some_and(|(up, _)| *up)
    }
}

/// Replicas of a node, the catalog's among them, and how many of them should lead.
pub fn kept_by(map: &Map, node: NodeId) -> usize {
    all(map).filter(|(_, replicas)| replicas.iter().any(|replica| replica.place.node == node)).count()
}

fn led_by(map: &Map, node: NodeId) -> usize {
    all(map).filter(|(_, replicas)| replicas.first().place.node == node).count()
}

/// How much the fullest node keeps, as a multiple of what it should: the mean, in proportion to shards. The catalog is no load and not counted.
pub fn fullest(map: &Map) -> f64 {
    let active = || map.nodes.values().filter(|node| node.state == NodeState::Active);
    let shards: usize = active().map(|node| node.addresses.len()).sum();
    let kept: Vec<(usize, usize)> = active()
        .map(|node| {
            let on_it = |replicas: Replicas| replicas.target().any(|one| one.place.node == node.number);
            let kept = map.ring.vnodes().filter(|vnode| on_it(vnode.replicas)).count();
            (kept, node.addresses.len())
        })
        .collect();
    let total: usize = kept.iter().map(|(kept, _)| kept).sum();
    let over = |(kept, own): &(usize, usize)| (kept * shards) as f64 / (total * own).max(1) as f64;
    kept.iter().map(over).fold(0.0, f64::max)
}

fn all(map: &Map) -> impl Iterator<Item = (u32, Replicas)> + '_ {
    let data = map.ring.vnodes().map(|vnode| (vnode.id.0, vnode.replicas));
    std::iter::once((CATALOG.0, map.catalog)).chain(data)
}

/// `torc ctl status`.
pub fn status(status: &Status, map: &Map, as_json: bool) -> String {
    if as_json {
        let nodes: Vec<serde_json::Value> = map
            .nodes
            .values()
            .map(|node| {
                json!({
                    "number": node.number.0, "name": node.name, "zone": node.zone, "state": node.state.name(),
                    "up": status.is_up(node.number), "seen_ms": status.nodes.get(&node.number.0).and_then(|(_, seen)| *seen),
                    "address": node.addresses.first().map(ToString::to_string), "shards": node.addresses.len(),
                    "http": node.http.map(|http| http.to_string()),
                    "replicas": kept_by(map, node.number), "leaders": led_by(map, node.number),
                })
            })
            .collect();
        return json!({
            "version": status.version, "epoch": status.epoch, "catalog_leader": status.leader, "paused": status.paused,
            "moving": status.moving, "left": status.left, "fullest": fullest(map), "vnodes": map.ring.len(), "tables": map.tables.len(), "nodes": nodes,
        })
        .to_string();
    }
    let mut rows = vec![
        ["NODE", "NAME", "ZONE", "STATE", "", "REPLICAS", "LEADERS", "SHARDS", "ADDRESS", "HTTP"]
            .map(str::to_string)
            .to_vec(),
    ];
    for node in map.nodes.values() {
        let up = match (node.state, status.is_up(node.number)) {
            (NodeState::Removed, _) => "",
            (_, true) => "up",
            (_, false) => "DOWN",
        };
        rows.push(vec![
            node.number.0.to_string(),
            node.name.clone(),
            node.zone.clone(),
            node.state.name().to_string(),
            up.to_string(),
            kept_by(map, node.number).to_string(),
            led_by(map, node.number).to_string(),
            node.addresses.len().to_string(),
            node.addresses.first().map_or(String::new(), ToString::to_string),
            node.http.map_or("-".to_string(), |http| http.to_string()),
        ]);
    }
    let moves = match (status.moving, status.left, status.paused) {
        (_, _, true) => format!("moves are paused, {} are under way: torc ctl resume", status.moving),
        (0, 0, false) => "balanced, nothing is moved".to_string(),
        (moving, left, false) => {
            format!("{moving} vnodes are being moved, about {left} more replicas to move")
        }
    };
    format!(
        "{}\n{} vnodes, {} tables; map {}, epoch {}; node {} leads the catalog; {moves}",
        table(&rows),
        map.ring.len(),
        map.tables.len(),
        status.version,
        status.epoch,
        status.leader
    )
}

/// `torc ctl ring`.
pub fn ring(map: &Map, as_json: bool) -> String {
    let starts: BTreeMap<u32, u64> = map.ring.vnodes().map(|vnode| (vnode.id.0, vnode.start)).collect();
    if as_json {
        let vnodes: Vec<serde_json::Value> = all(map)
            .map(|(vnode, replicas)| {
                let replicas: Vec<serde_json::Value> = replicas
                    .iter()
                    .map(|replica| {
                        json!({
                            "peer": replica.peer.0, "node": replica.place.node.0, "shard": replica.place.shard.0,
                            "role": role(replica.role),
                        })
                    })
                    .collect();
                let start = starts.get(&vnode).map(|start| format!("{start:016x}"));
                json!({ "vnode": vnode, "start": start, "replicas": replicas })
            })
            .collect();
        return json!({ "version": map.version, "epoch": map.ring.epoch, "vnodes": vnodes }).to_string();
    }
    let mut rows = vec![
        ["VNODE", "FROM TOKEN", "REPLICAS (node/shard; the first one should lead)"]
            .map(str::to_string)
            .to_vec(),
    ];
    for (vnode, replicas) in all(map) {
        let kept: Vec<String> = replicas
            .iter()
            .map(|replica| {
                let mark = match replica.role {
                    Role::Voter => "",
                    Role::Joining => "+",
                    Role::Leaving => "-",
                };
                format!("{}/{}{mark}", replica.place.node.0, replica.place.shard.0)
            })
            .collect();
        let start = starts.get(&vnode).map_or("catalog".to_string(), |start| format!("{start:016x}"));
        rows.push(vec![vnode.to_string(), start, kept.join("  ")]);
    }
    table(&rows)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Voter => "voter",
        Role::Joining => "joining",
        Role::Leaving => "leaving",
    }
}

/// Rows in columns, the first one the head.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<String>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<String>>().join("\n")
}

#[cfg(test)]
mod tests;

use std::rc::Rc;

use super::*;
use model::node::Node;
use model::placement;

fn map() -> Map {
    let node = |number: u16| Node {
        number: NodeId(number),
        id: u128::from(number),
        name: format!("n{number}"),
        zone: format!("z{number}"),
        addresses: vec![format!("10.0.0.{number}:7000").parse().unwrap()],
        http: None,
        state: NodeState::Active,
    };
    let nodes: Vec<Node> = (1..=3).map(node).collect();
    let founding = placement::found(&nodes, 12);
    let nodes = nodes.into_iter().map(|node| (node.number, Rc::new(node))).collect();
    Map { version: 1, ring: founding.ring, catalog: founding.catalog, nodes, tables: BTreeMap::new() }
}

fn some_status() -> Status {
    let nodes = (1..=3).map(|node| (node, (node != 2, Some(5)))).collect();
    Status { version: 1, epoch: 1, leader: 1, paused: false, moving: 0, left: 0, nodes }
}

#[test]
fn status_names_every_node_and_what_it_keeps() {
    let text = status(&some_status(), &map(), false);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[1].starts_with("1     n1") && lines[1].contains("active  up"), "{text}");
    assert!(lines[2].contains("DOWN"), "{text}");
    assert!(lines[4].contains("12 vnodes") && lines[4].contains("balanced"), "{text}");
    assert!(!some_status().all_are_up());
    let value: serde_json::Value = serde_json::from_str(&status(&some_status(), &map(), true)).unwrap();
    assert_eq!(value["nodes"][1]["up"], json!(false));
    assert_eq!(value["nodes"][0]["replicas"], json!(13), "all vnodes and the catalog");
    let leaders: u64 =
        value["nodes"].as_array().unwrap().iter().map(|node| node["leaders"].as_u64().unwrap()).sum();
    assert_eq!(leaders, 13);
}

#[test]
fn the_ring_has_a_line_for_each_vnode() {
    let text = ring(&map(), false);
    assert_eq!(text.lines().count(), 14);
    assert!(text.lines().nth(1).unwrap().contains("catalog"), "{text}");
    let value: serde_json::Value = serde_json::from_str(&ring(&map(), true)).unwrap();
    assert_eq!(value["vnodes"].as_array().unwrap().len(), 13);
    assert_eq!(value["vnodes"][1]["start"], json!("0000000000000000"));
}

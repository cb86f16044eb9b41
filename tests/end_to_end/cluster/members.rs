//! Nodes that come, go, and are replaced, under load.

use super::history::Clients;
use super::load::Load;
use super::{Cluster, torc};
use crate::server::create_table;

async fn started() -> Cluster {
    let cluster = Cluster::start();
    create_table(&cluster.client(1), "tab", None).await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_node_joins_and_another_drains_and_the_ring_ends_even() {
    let mut cluster = started().await;
    let load = Load::over(&cluster);
    load.progress(200).await;
    cluster.add();
    cluster.ctl(&["join", &cluster.listen(4).to_string()]);
    cluster.wait_until_ready(4);
    cluster.assert_balanced(&[1, 2, 3, 4]);
    load.progress(200).await;
    cluster.ctl(&["drain", "2"]);
    cluster.settle();
    cluster.assert_balanced(&[1, 3, 4]);
    cluster.ctl(&["remove", "node-2"]);
    load.progress(200).await;
    load.finish().await;
    // Vnodes have come and gone, and what every directory holds is what its own records say.
    for number in 1..=4 {
        let process = cluster.take(number);
        if number % 2 == 0 {
            process.kill()
        } else {
            process.stop()
        }
        cluster.assert_whole(number);
    }
    let map = cluster.path().join("node-1/map");
    std::fs::remove_file(&map).unwrap();
    let output = torc().args(["inspect", "verify"]).arg(map.parent().unwrap()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("the map that a node"), "{output:?}");
}

/// What the manual says of a node that is dead: another one joins, and the dead one is removed by force.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_is_replaced() {
    let mut cluster = started().await;
    let load = Load::over(&cluster);
    let clients = Clients::start(&cluster.urls());
    load.progress(200).await;
    cluster.take(3).kill();
    std::fs::remove_dir_all(cluster.path().join("node-3")).unwrap();
    load.progress(100).await;
    cluster.add();
    cluster.ctl(&["join", "--no-wait", &cluster.listen(4).to_string()]);
    cluster.wait_until_ready(4);
    cluster.wait_until_down(3);
    cluster.ctl(&["remove", "node-3", "--force"]);
    cluster.settle();
    cluster.assert_balanced(&[1, 2, 4]);
    load.progress(200).await;
    load.finish().await;
    let totals = clients.finish().await;
    assert!(totals.known > 200, "{totals:?}");
}

//! Nodes that come, go, and are replaced, under load.

use super::Cluster;
use super::load::Load;
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
}

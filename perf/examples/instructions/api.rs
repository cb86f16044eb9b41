//! The API's cases: whole requests, from the bytes of an HTTP request to the bytes of its response.
//!
//! ```text
//! client (not counted) --bytes--> http > json > operation > route > message > shard > log > memtable --bytes--> client
//! ```
//!
//! One node of one core on the simulated runtime, wired as `torc serve` wires it, and one connection that sends one request
//! after the other: the dearest way, because every put has a log write of its own. Each answer is checked. Only torc's own
//! code is counted, without the simulator: see `outside`.

mod node;
mod outside;
mod requests;

use runtime::sim::{Chance, DiskFaults, NetworkFaults, Span, World, WorldOptions};

use node::{Client, PORT};
pub use outside::GATES;
use requests::Kind;

/// PutItem of an item of 1 KiB.
pub fn put_item(count: u64) {
    run(&requests::PUT_ITEM, count);
}

/// The same with a condition, a name and a value.
pub fn put_item_condition(count: u64) {
    run(&requests::PUT_ITEM_CONDITION, count);
}

/// GetItem, consistent, of an item of 1 KiB.
pub fn get_item(count: u64) {
    run(&requests::GET_ITEM, count);
}

/// UpdateItem that adds to a counter, sets a string and returns both.
pub fn update_item(count: u64) {
    run(&requests::UPDATE_ITEM, count);
}

/// Query of 10 items of 150 bytes with a filter.
pub fn query(count: u64) {
    run(&requests::QUERY, count);
}

fn run(kind: &'static Kind, count: u64) {
    let world = World::new(7, world_options());
    let (server, client) = (world.node("server"), world.node("client"));
    let address = world.address(server, PORT);
    world.start(server, 1, |sim| node::run(outside::Counted::new(sim), address));
    let rt = world.runtime(client);
    world.block_on(async {
        let mut client = Client::connect(&rt, address).await;
        for request in kind.preparation() {
            client.call(&request).await;
        }
        for index in 0..count {
            let answer = client.call(&kind.request(index)).await;
            kind.check(index, &answer);
        }
    });
}

/// A quiet world: every request comes in one piece, and the disk takes as long as a good one.
fn world_options() -> WorldOptions {
    let network =
        NetworkFaults { short_read: Chance::NEVER, delay: Span::micros(30, 30), ..NetworkFaults::default() };
    let disk = DiskFaults { write: Span::micros(60, 60), ..DiskFaults::default() };
    WorldOptions { network, disk, buggify: false, ..WorldOptions::default() }
}

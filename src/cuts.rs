//! A file that names cuts of the network, for tests of real processes: lines of a node's number and `in`, `out` or `both`.

use std::path::PathBuf;
use std::time::Duration;

use model::ring::NodeId;
use net::links::{Direction, Links};
use runtime::real::{RealRuntime, RealTask};
use runtime::{Class, Runtime};

/// How often a core looks for cuts.
const CUTS_PERIOD: Duration = Duration::from_millis(20);

/// Follows the file, as long as the task lives.
pub fn follow(rt: &RealRuntime, links: Links<RealRuntime>, file: PathBuf) -> RealTask<()> {
    let clock = rt.clone();
    rt.spawn(Class::Background, async move {
        let mut now = String::new();
        loop {
            clock.sleep(CUTS_PERIOD).await;
            #[expect(clippy::disallowed_methods, reason = "a switch for tests, a few bytes")]
            let wanted = std::fs::read_to_string(&file).unwrap_or_default();
            if wanted == now {
                continue;
            }
            cuts(&now).for_each(|(node, _)| links.heal(node));
            cuts(&wanted).for_each(|(node, direction)| links.cut(node, direction));
            now = wanted;
        }
    })
}

fn cuts(text: &str) -> impl Iterator<Item = (NodeId, Direction)> + '_ {
    text.lines().filter_map(|line| {
        let (node, direction) = line.split_once(' ')?;
        let direction = match direction.trim() {
            "in" => Direction::In,
            "out" => Direction::Out,
            _ => Direction::Both,
        };
        Some((NodeId(node.parse().ok()?), direction))
    })
}

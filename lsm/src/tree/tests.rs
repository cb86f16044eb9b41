//! The tree on the simulated disk, against a model that is a BTreeMap.
//!
//! - `model`: what was applied, and what the tree must therefore hold at given marks.
//! - `harness`: one seed: tiny limits, random work, crashes at any step, and the check after each.
//! - `seeds`: thousands of those, and planted bugs that they must find.
//! - `ages`: what goes by age. `scrub`: rot at rest, and what is set aside.
//! - `faults`: rot, errors, full disks. `small`: single facts. `reads`: what reads cost. `estimate`: how much there is.

mod ages;
mod estimate;
mod faults;
mod harness;
mod model;
mod reads;
mod scrub;
mod seeds;
mod small;

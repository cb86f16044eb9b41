//! One process: one contender, one step, its outcome as a line of JSON on stdout.

use std::io::{Read, Write};

use crate::contender::Contender;
use crate::workload::{Step, Task};
use crate::{device, host, ours, peers};

/// What a process prints when its log is full and it may be killed.
pub const READY: &str = "ready to be killed";

/// Does what `step` says, and ends the process.
pub fn run(step: &str) -> anyhow::Result<()> {
    let step: Step = serde_json::from_str(step)?;
    host::pin(step.cpu)?;
    let outcome = match step.contender {
        Contender::Device => device::run(&step),
        Contender::Torc => ours::run(&step),
        Contender::RocksDb | Contender::Fjall => peers::run(&step),
    }?;
    let mut stdout = std::io::stdout().lock();
    if step.task == Task::FillLog {
        writeln!(stdout, "{READY}")?;
        stdout.flush()?;
        // Nothing comes: whoever started this kills it.
        std::io::stdin().read_exact(&mut [0])?;
    }
    writeln!(stdout, "{}", serde_json::to_string(&outcome)?)?;
    stdout.flush()?;
    // No destructor: an engine that tidies up now would be measured by nobody.
    std::process::exit(0);
}

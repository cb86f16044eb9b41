//! `torc inspect`: what lies in a data directory, and whether it is whole.
//!
//! - `torc inspect PATH` tells what a directory or a file holds: node, log segments, SSTables, manifests; with `--blocks`
//!   and `--entries` down to the last record and item.
//! - `torc inspect verify DIR` checks everything that can be checked without serving it.
//!
//! The reading and the judging are `lsm::inspect`'s and `shard::inspect`'s; here are flags, text and JSON. `show` prints
//! lines either way, `files` walks files, `verify` reports. Nothing is ever written: the runtime underneath cannot.

mod files;
mod show;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};
use runtime::offline::{OfflineRuntime, block_on};

use crate::data_dir;
use crate::say;
use show::Printer;

/// The flags of `torc inspect`.
#[derive(ClapArgs, Clone, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Nothing is written, ever. What PATH may be: a data directory, a shard's directory, its log or tree, or one \
file of those, under its own name.\n\nExamples:\n  torc inspect ./torc-data\n  torc inspect ./torc-data/shard-000/tree \
--blocks\n  torc inspect ./torc-data/shard-000/log/0000000000000001-0000000000000000.log --entries --json\n  torc inspect \
verify ./torc-data"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    look: LookArgs,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Check a whole data directory that nobody serves: exit code 0 whole, 1 damaged, 2 not checked
    Verify(VerifyArgs),
}

/// The flags of `torc inspect PATH`.
#[derive(ClapArgs, Clone, Debug)]
pub struct LookArgs {
    /// A data directory, a shard's directory, its log or tree, or one file of those
    #[arg(required = true)]
    path: Option<PathBuf>,

    /// One JSON object per line instead of text
    #[arg(long)]
    json: bool,

    /// Also the parts of each file: batches of a segment, blocks of an SSTable, edits of a manifest
    #[arg(long)]
    blocks: bool,

    /// Also what is in the parts: records and their commands, entries and their items
    #[arg(long, visible_alias = "records")]
    entries: bool,

    /// Only records of this stream (a vnode's number)
    #[arg(long, value_name = "NUMBER")]
    stream: Option<u64>,

    /// Only records from this index on
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from_index: u64,

    /// Only records up to this index
    #[arg(long, value_name = "INDEX", default_value_t = u64::MAX)]
    to_index: u64,

    /// Only entries whose storage key begins so, in hexadecimal (01 and the table's number are an item's first five bytes)
    #[arg(long, value_name = "HEX", default_value = "", value_parser = show::parse_hex)]
    prefix: Hex,

    /// Records and entries to show of each file, at most; 0 for all
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: u64,
}

/// The flags of `torc inspect verify`.
#[derive(ClapArgs, Clone, Debug)]
pub struct VerifyArgs {
    /// The data directory: what was given to torc as --data-dir
    dir: PathBuf,

    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Bytes that were given in hexadecimal.
type Hex = std::sync::Arc<[u8]>;

/// It could not be looked at: the path is wrong, or the directory is in use.
const NOT_LOOKED_AT: u8 = 2;

/// Runs the command. The exit code is 0 when all is well, 1 when something is damaged, 2 when nothing could be said.
pub fn run(args: Args) -> ExitCode {
    let outcome = match (args.command, args.look.path.clone()) {
        (Some(Command::Verify(verify)), _) => verify::run(&verify),
        (None, Some(path)) => look(&path, &args.look),
        (None, None) => unreachable!("clap requires a path where there is no subcommand"),
    };
    outcome.unwrap_or_else(|error| {
        say::warn(format_args!("{error:#}"));
        ExitCode::from(NOT_LOOKED_AT)
    })
}

fn look(path: &std::path::Path, args: &LookArgs) -> anyhow::Result<ExitCode> {
    if let Some(holder) = data_dir::holder(path)? {
        say::warn(format_args!(
            "process {holder} serves this directory: files may come and go, and the last batch or edit may be cut"
        ));
    }
    let printer = Printer::new(args.json);
    let whole = block_on(files::look(&OfflineRuntime::new(), path, args, &printer))?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

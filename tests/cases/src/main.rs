//! Tells the cases to any endpoint: torc, DynamoDB itself, or anything that claims to be like it.
//!
//! ```text
//! cargo run -p cases -- --endpoint http://127.0.0.1:8000 --torc
//! AWS_ACCESS_KEY_ID=.. AWS_SECRET_ACCESS_KEY=.. cargo run -p cases -- \
//!     --endpoint https://dynamodb.us-east-1.amazonaws.com --filter numbers
//! ```
//!
//! Against DynamoDB it makes some two hundred small on-demand tables, all of whose names begin with `cases-`, and deletes them.

#![expect(clippy::disallowed_methods, reason = "reads files that its user names")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use cases::http::{Client, Endpoint};
use cases::run::{Options, run};
use cases::script::{self, Script};
use cases::sign::Signer;
use clap::Parser;
use serde_json::json;

/// DynamoDB's behaviour, case by case, against an endpoint.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to ask: http://127.0.0.1:8000, https://dynamodb.us-east-1.amazonaws.com
    #[arg(long)]
    endpoint: String,
    /// The region, in signatures and ARNs.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Only cases with this text in "script: name".
    #[arg(long)]
    filter: Option<String>,
    /// It is torc: also ask what only torc answers, about what it does not have yet.
    #[arg(long)]
    torc: bool,
    /// One JSON object for each difference, and one at the end.
    #[arg(long)]
    json: bool,
    /// Cases out of these files instead of those that are built in.
    #[arg(long)]
    file: Vec<PathBuf>,
    /// Only list the cases.
    #[arg(long)]
    list: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let scripts = match arguments.file.is_empty() {
        true => script::all()?,
        false => arguments.file.iter().map(|path| read(path)).collect::<Result<_>>()?,
    };
    if arguments.list {
        for script in &scripts {
            for case in &script.cases {
                println!("{}:{}: {}", script.name, case.line, case.title());
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let signer = Signer::from_environment(&arguments.region);
    let mut client = Client::new(Endpoint::parse(&arguments.endpoint)?, signer);
    let options =
        Options { region: arguments.region, filter: arguments.filter, is_torc: arguments.torc, prefix: None };
    let report = run(&mut client, &scripts, &options)?;
    let failed = report.failures.len();
    ensure!(report.passed + failed + report.skipped > 0, "no case has that in its name");
    for failure in &report.failures {
        match arguments.json {
            true => println!("{}", failure.json()),
            false => println!("{failure}\n"),
        }
    }
    match arguments.json {
        true => println!("{}", json!({"passed": report.passed, "failed": failed, "skipped": report.skipped})),
        false => println!("{} passed, {failed} failed, {} skipped", report.passed, report.skipped),
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> Result<Script> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let name =
        path.file_stem().and_then(|name| name.to_str()).with_context(|| format!("{shown} has no name"))?;
    script::parse(name, &text)
}

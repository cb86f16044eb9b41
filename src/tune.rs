//! `torc tune`: the host doctor.
//!
//! - `torc tune` looks, measures and says what it found; nothing is changed.
//! - `torc tune apply` prints the commands that its findings ask for, and with `--yes` runs them; `torc tune undo` goes back.
//! - `torc tune profile` measures the device of a data directory and writes what `torc serve` and `torc node` set by it.
//! - `torc tune record` writes down what was read of this host, to be looked at elsewhere with `--host`.
//!
//! Looking, measuring and judging are `tuning`'s; here are flags, the progress bar, text and JSON.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};
use tuning::change::{self, Done, UNDO_FILE, Write};
use tuning::checks;
use tuning::facts::{self, Facts};
use tuning::host::{Host, Recording};
use tuning::measure::{self, DeviceOptions, Measured, Options};
use tuning::profile::{PROFILE_FILE, Profile};
use tuning::show;

use crate::data_dir;

/// The version of what `--format json` prints.
const JSON_VERSION: u32 = 1;

/// The flags of `torc tune`.
#[derive(ClapArgs, Clone, Debug)]
#[command(
    after_help = "Nothing is changed without --yes. The device is measured in the data directory, in a file that is gone afterwards.\n\n\
Examples:\n  torc tune --data-dir /var/lib/torc\n  torc tune apply            # what would be run\n  torc tune apply --yes\n  \
torc tune undo --yes\n  torc tune profile --data-dir /var/lib/torc"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Where the data lies, or shall lie
    #[arg(long, value_name = "DIR", default_value = "./torc-data", global = true)]
    data_dir: PathBuf,

    /// How to say it
    #[arg(long, value_enum, default_value = "table", global = true)]
    format: Format,

    /// Measure for a shorter time: rougher figures, about a second in all
    #[arg(long, global = true)]
    quick: bool,

    /// Measure nothing
    #[arg(long, global = true, conflicts_with = "quick")]
    no_measure: bool,

    /// Look at a host that `torc tune record` wrote down
    #[arg(long, value_name = "FILE", global = true)]
    host: Option<PathBuf>,

    /// A directory that stands for the host, for tests
    #[arg(long, value_name = "DIR", hide = true, global = true, conflicts_with = "host")]
    root: Option<PathBuf>,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Print what the findings ask to be set; with --yes, set it
    Apply(ApplyArgs),
    /// Print how to take back what apply did; with --yes, take it back
    Undo(UndoArgs),
    /// Measure the device of the data directory, and write what torc serve and torc node set by it
    Profile(ProfileArgs),
    /// Write down what was read of this host
    Record(RecordArgs),
}

#[derive(ClapArgs, Clone, Debug)]
struct ApplyArgs {
    #[command(flatten)]
    change: UndoArgs,

    /// Only what these checks ask for
    #[arg(long, value_name = "CHECK,...", value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(ClapArgs, Clone, Debug)]
struct UndoArgs {
    /// Do it
    #[arg(long)]
    yes: bool,

    /// Where old values are kept
    #[arg(long, value_name = "FILE", default_value = UNDO_FILE)]
    undo_file: PathBuf,
}

#[derive(ClapArgs, Clone, Debug)]
struct ProfileArgs {
    /// The file to write, or - for standard output [default: device-profile.toml in the data directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// How long an idle core looks for work before it sleeps, in microseconds [default: as long as a durable write takes if all
    /// cpus that may be used are isolated and without a quota, else 0]
    #[arg(long, value_name = "US")]
    spin_us: Option<u64>,
}

#[derive(ClapArgs, Clone, Debug)]
struct RecordArgs {
    /// The file to write; it may hold names of devices and the kernel's command line [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

/// Does what `torc tune` was asked to.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command.clone() {
        None => look(&args),
        Some(Command::Apply(apply)) => run_apply(&args, &apply),
        Some(Command::Undo(undo)) => run_undo(&args, &undo),
        Some(Command::Profile(profile)) => run_profile(&args, &profile),
        Some(Command::Record(record)) => run_record(&args, &record),
    }
}

/// Looks, measures, judges, says.
fn look(args: &Args) -> anyhow::Result<()> {
    let (facts, measured) = examine(args)?;
    let findings = checks::judge(&facts, &measured);
    match args.format {
        Format::Table => say(&show::findings(&findings)),
        Format::Json => say_json(&json!({
            "version": JSON_VERSION,
            "facts": facts,
            "measured": measured,
            "findings": findings,
        })),
    }
}

fn examine(args: &Args) -> anyhow::Result<(Facts, Measured)> {
    let host = host(args)?;
    let facts = facts::read(&host);
    let measured = match (host.is_here(), args.no_measure) {
        (false, _) => Measured::nothing("this is another host than the one that was looked at"),
        (true, true) => Measured::nothing("--no-measure"),
        (true, false) => {
            let mut options = if args.quick { Options::quick() } else { Options::thorough() };
            options.without_device = why_no_device(args);
            let bar = Bar::new();
            measure::measure(&facts, &options, &mut |what, part| bar.tell(what, part))
        }
    };
    Ok((facts, measured))
}

#[expect(clippy::disallowed_methods, reason = "no executor runs")]
fn host(args: &Args) -> anyhow::Result<Host> {
    let data_dir = nearest(&args.data_dir)?;
    if let Some(path) = &args.host {
        let read = || anyhow::Ok(Recording::parse(&std::fs::read_to_string(path)?)?);
        return Ok(Host::recorded(read().with_context(|| format!("recorded host {}", path.display()))?));
    }
    match &args.root {
        Some(root) => Ok(Host::under(root, &data_dir)),
        None => Ok(Host::live(&data_dir)),
    }
}

/// The directory, or where it would be made: the nearest one above that is there. Nothing is made by looking.
fn nearest(dir: &Path) -> anyhow::Result<PathBuf> {
    let dir = std::path::absolute(dir).with_context(|| format!("data directory {}", dir.display()))?;
    let found = dir.ancestors().find_map(|above| above.canonicalize().ok());
    found.with_context(|| format!("nothing of {} is there", dir.display()))
}

/// Why the device must not be measured now: it would be felt by clients, and their load would be in the figures.
fn why_no_device(args: &Args) -> Option<String> {
    let dir = args.data_dir.exists().then_some(&args.data_dir)?;
    let holder = data_dir::holder(dir).ok().flatten()?;
    Some(format!(
        "{} is being served by process {holder}, whose clients would feel it; stop it first",
        dir.display()
    ))
}

fn run_apply(args: &Args, apply: &ApplyArgs) -> anyhow::Result<()> {
    if args.host.is_some() {
        bail!("what is set is set on this host: --host is for looking");
    }
    if let Some(unknown) = apply.only.iter().find(|id| !checks::ids().contains(&id.as_str())) {
        bail!("--only: there is no check {unknown}, only {}", checks::ids().join(", "));
    }
    let (facts, measured) = examine(args)?;
    let mut findings = checks::judge(&facts, &measured);
    findings.retain(|finding| apply.only.is_empty() || apply.only.iter().any(|id| id == finding.id));
    let (apply, plan) = (&apply.change, change::plan(&findings, root(args)));
    if !apply.yes {
        return say_plan(
            args,
            &plan,
            "torc tune apply --yes runs these; they hold until the next start of the host",
        );
    }
    if plan.is_empty() {
        return say_done(args, &[], &apply.undo_file);
    }
    let done = change::apply(&plan, root(args), &apply.undo_file)?;
    say_done(args, &done, &apply.undo_file)
}

fn run_undo(args: &Args, undo: &UndoArgs) -> anyhow::Result<()> {
    if args.host.is_some() {
        bail!("what is set is set on this host: --host is for looking");
    }
    if !undo.yes {
        let plan = change::undo_plan(root(args), &undo.undo_file)?;
        return say_plan(args, &plan, "torc tune undo --yes runs these");
    }
    let done = change::undo(root(args), &undo.undo_file)?;
    say_done(args, &done, &undo.undo_file)
}

fn root(args: &Args) -> &Path {
    args.root.as_deref().unwrap_or(Path::new("/"))
}

fn say_plan(args: &Args, plan: &[Write], next: &str) -> anyhow::Result<()> {
    match (args.format, plan.is_empty()) {
        (Format::Json, _) => say_json(&json!({"version": JSON_VERSION, "plan": plan, "done": Json::Null})),
        (Format::Table, true) => {
            say("nothing has to be set that torc could set; torc tune says what else there is\n")
        }
        (Format::Table, false) => say(&format!("{}# {next}\n", show::commands(plan))),
    }
}

/// What was done; an error if any of it failed.
fn say_done(args: &Args, done: &[Done], undo_file: &Path) -> anyhow::Result<()> {
    match args.format {
        Format::Json => say_json(&json!({"version": JSON_VERSION, "plan": Json::Null, "done": done}))?,
        Format::Table => {
            let one = |done: &Done| match &done.failed {
                None => format!("done    {}\n", done.write.command()),
                Some(why) => format!("FAILED  {}: {why}\n", done.write.command()),
            };
            let text: String = done.iter().map(one).collect();
            say(if text.is_empty() { "nothing had to be set\n" } else { &text })?;
        }
    }
    match done.iter().filter(|done| done.failed.is_some()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} were not set; old values are in {}", done.len(), undo_file.display()),
    }
}

#[expect(clippy::disallowed_methods, reason = "no executor runs")]
fn run_profile(args: &Args, profile: &ProfileArgs) -> anyhow::Result<()> {
    if args.host.is_some() || args.root.is_some() || args.no_measure {
        bail!("a profile is measured, on this host");
    }
    let dir = &args.data_dir;
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot create the data directory {}", dir.display()))?;
    if let Some(why) = why_no_device(args) {
        bail!("{why}");
    }
    let facts = facts::read(&host(args)?);
    let bar = Bar::new();
    let each =
        if args.quick { std::time::Duration::from_millis(50) } else { std::time::Duration::from_millis(400) };
    let device = measure::device(dir, &DeviceOptions::profile(each), &mut |what, part| bar.tell(what, part));
    drop(bar);
    let device = device.with_context(|| format!("cannot measure in {}", dir.display()))?;
    let made = Profile::of(&facts, &device, profile.spin_us);
    let text = made.render();
    // Whatever it writes it would also read: a host that gives absurd figures is told so here.
    Profile::parse(&text).context("what was measured makes no sense; measure again")?;
    let out = profile.out.clone().unwrap_or_else(|| dir.join(PROFILE_FILE));
    if out == Path::new("-") {
        return say(&text);
    }
    std::fs::write(&out, &text).with_context(|| format!("cannot write {}", out.display()))?;
    match args.format {
        Format::Json => say_json(&json!({"version": JSON_VERSION, "file": out, "profile": made})),
        Format::Table => say(&format!(
            "{}\n{}\nwritten to {}: {}\n",
            show::device(&device),
            spin_words(&made),
            out.display(),
            made.settings
        )),
    }
}

fn spin_words(profile: &Profile) -> &'static str {
    match profile.settings.spin_us {
        0 => "idle cores sleep: the cpus are not isolated, or there is a quota (--spin-us sets it anyway)\n",
        _ => "idle cores look for work before they sleep\n",
    }
}

#[expect(clippy::disallowed_methods, reason = "no executor runs")]
fn run_record(args: &Args, record: &RecordArgs) -> anyhow::Result<()> {
    let host = host(args)?;
    facts::read(&host);
    let text = host.recording().to_string();
    match &record.out {
        Some(path) => std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display())),
        None => say(&text),
    }
}

fn say_json(value: &Json) -> anyhow::Result<()> {
    say(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// A reader that has seen enough is no error.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// One line on a terminal while something is measured; nothing where standard error is none.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new() -> Bar {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}")
            .expect("the template is well formed");
        Bar { bar: ProgressBar::new(1000).with_style(style) }
    }

    fn tell(&self, what: &str, part: f64) {
        self.bar.set_message(what.to_owned());
        self.bar.set_position((part * 1000.0) as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! The parent: starts the children in turn and gathers what they found.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::child::READY;
use crate::contender::Contender;
use crate::host;
use crate::options::{Run, Sizes};
use crate::outcome::{Outcome, names};
use crate::report::{Report, Results};
use crate::workload::{Step, Task, WRITERS, Workload};

/// Of what the slower of torc and RocksDB can do flat out, the pace of the mix.
const MIX_SHARE: f64 = 0.5;
/// How long a child may take for one step.
const STEP_TIME_MAX: Duration = Duration::from_secs(600);

/// Runs what `options` asks for, prints the table and writes it as JSON and Markdown.
pub fn run(options: &Run) -> anyhow::Result<()> {
    let (workloads, engines, sizes) = (options.workloads()?, options.contenders()?, options.sizes());
    let cpus = host::cpus_allowed();
    let cpu = options.cpu.or(cpus.last().copied()).expect("a process runs on a cpu");
    ensure!(cpus.contains(&cpu), "cpu {cpu} is not allowed to this process");
    fs::create_dir_all(&options.out)?;
    let scratch = Scratch::new(options.dir.as_deref().unwrap_or(&options.out))?;
    let bar = progress_bar(&workloads, &engines, &sizes);
    let mut parent = Parent { dir: scratch.dir.clone(), sizes, cpu, engines, bar, results: Results::new() };
    for workload in workloads {
        parent.measure(workload)?;
    }
    parent.bar.finish_and_clear();
    let report = Report {
        unix_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        host: host::facts(&scratch.dir),
        cpu,
        sizes,
        results: parent.results,
    };
    print!("{}", report.text());
    fs::write(options.out.join("compare.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    fs::write(options.out.join("compare.md"), report.markdown())?;
    Ok(())
}

fn progress_bar(workloads: &[Workload], engines: &[Contender], sizes: &Sizes) -> ProgressBar {
    let steps = |workload: &Workload| {
        let repeats = if workload.is_short() { sizes.repeats } else { 1 };
        repeats * (engines.len() + 1)
    };
    let bar = ProgressBar::new(workloads.iter().map(steps).sum::<usize>() as u64);
    let style = ProgressStyle::with_template("[{elapsed_precise}] {wide_bar} {pos}/{len} {msg}");
    bar.set_style(style.expect("a template that parses"));
    bar
}

struct Parent {
    dir: PathBuf,
    sizes: Sizes,
    cpu: usize,
    engines: Vec<Contender>,
    bar: ProgressBar,
    results: Results,
}

impl Parent {
    fn measure(&mut self, workload: Workload) -> anyhow::Result<()> {
        match workload {
            Workload::PutAlone => self.repeat(workload, Task::Puts { writers: 1 }),
            Workload::PutTogether => self.repeat(workload, Task::Puts { writers: WRITERS }),
            Workload::GetCached => self.repeat(workload, Task::GetCached),
            Workload::GetUncached => self.repeat(workload, Task::GetUncached),
            Workload::GetAbsent => self.repeat(workload, Task::GetAbsent),
            Workload::Scan => self.repeat(workload, Task::Scan),
            Workload::Mix => self.mix(),
            Workload::Load => self.load(),
            Workload::Restart => self.restart(),
        }
    }

    /// All contenders in turn, several times; medians.
    fn repeat(&mut self, workload: Workload, task: Task) -> anyhow::Result<()> {
        let mut outcomes: BTreeMap<Contender, Vec<Outcome>> = BTreeMap::new();
        for _ in 0..self.sizes.repeats {
            for contender in self.contenders(task) {
                self.say(contender, workload);
                let dir = if workload.reads_the_set() && contender != Contender::Device {
                    self.prepared_set(contender)?
                } else {
                    self.empty_dir(contender)?
                };
                let outcome = self.step(contender, task, &dir)?;
                outcomes.entry(contender).or_default().push(outcome);
                self.bar.inc(1);
            }
        }
        for (contender, outcomes) in outcomes {
            self.keep(workload, contender, Outcome::median(&outcomes));
        }
        Ok(())
    }

    /// Who can do this: the device knows no keys, so it has no cache and no absence.
    fn contenders(&self, task: Task) -> Vec<Contender> {
        let device = !matches!(task, Task::GetCached | Task::GetAbsent);
        device.then_some(Contender::Device).into_iter().chain(self.engines.iter().copied()).collect()
    }

    /// The directory with the set that is ten times the cache; loaded when it is first wanted.
    fn prepared_set(&self, contender: Contender) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(format!("{}-set", contender.key()));
        if !dir.exists() {
            fs::create_dir(&dir)?;
            self.bar.set_message(format!("{}: loading a set", contender.name()));
            self.step(contender, Task::PrepareSet, &dir)?;
        }
        Ok(dir)
    }

    /// One pace for all, that the slower of torc and RocksDB (or whoever takes part) can keep well.
    fn mix(&mut self) -> anyhow::Result<()> {
        let mut flat_out = BTreeMap::new();
        for contender in self.engines.clone() {
            self.say(contender, Workload::Mix);
            let outcome = self.step(contender, Task::MixFlatOut, &self.empty_dir(contender)?)?;
            flat_out.insert(contender, outcome.get(names::PER_SECOND).context("a rate")?);
        }
        let counts = |contender: &Contender| *contender != Contender::Fjall || self.engines.len() == 1;
        let rates = flat_out.iter().filter(|(contender, _)| counts(contender)).map(|(_, rate)| *rate);
        let rate = ((rates.fold(f64::INFINITY, f64::min) * MIX_SHARE / 100.0).floor() * 100.0).max(100.0);
        for contender in self.engines.clone() {
            self.say(contender, Workload::Mix);
            let outcome = self.step(contender, Task::MixPaced { rate }, &self.empty_dir(contender)?)?;
            let outcome = outcome.with("flat_out_per_second", flat_out[&contender]);
            self.keep(Workload::Mix, contender, outcome);
            self.bar.inc(1);
        }
        self.bar.inc(1);
        Ok(())
    }

    fn load(&mut self) -> anyhow::Result<()> {
        let user_bytes = (self.sizes.load_keys * self.sizes.entry_bytes()) as f64;
        for contender in self.contenders(Task::Load) {
            self.say(contender, Workload::Load);
            let dir = self.empty_dir(contender)?;
            let mut child = self.start(contender, Task::Load, &dir)?;
            let mut space_max = 0;
            while child.try_wait()?.is_none() {
                space_max = space_max.max(host::disk_bytes(&dir));
                std::thread::sleep(Duration::from_millis(200));
            }
            let mut outcome = finish(child, contender)?;
            if contender != Contender::Device {
                outcome = outcome.with(names::SPACE_AMPLIFICATION_MAX, space_max as f64 / user_bytes);
            }
            self.keep(Workload::Load, contender, outcome);
            self.bar.inc(1);
        }
        self.empty_dir(Contender::Device)?;
        Ok(())
    }

    /// Fills a log, kills the process, and opens what it left. Nothing of it is in the page cache then.
    fn restart(&mut self) -> anyhow::Result<()> {
        for contender in self.contenders(Task::Reopen) {
            self.say(contender, Workload::Restart);
            let dir = self.empty_dir(contender)?;
            if contender != Contender::Device {
                let mut child = self.start(contender, Task::FillLog, &dir)?;
                let mut line = String::new();
                BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut line)?;
                child.kill()?;
                child.wait()?;
                ensure!(line.trim() == READY, "{} could not fill its log", contender.name());
                // SAFETY of the figures: what the kernel has not written yet cannot be forgotten.
                Command::new("sync").status()?;
                host::forget(&dir);
            }
            let outcome = self.step(contender, Task::Reopen, &dir)?;
            self.keep(Workload::Restart, contender, outcome);
            self.bar.inc(1);
        }
        Ok(())
    }

    fn keep(&mut self, workload: Workload, contender: Contender, outcome: Outcome) {
        self.results.entry(workload).or_default().insert(contender, outcome);
        self.bar.suspend(|| eprintln!("{} {workload:?}: done", contender.name()));
    }

    fn say(&self, contender: Contender, workload: Workload) {
        self.bar.set_message(format!("({}) {}", workload.number(), contender.name()));
    }

    fn empty_dir(&self, contender: Contender) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(contender.key());
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir(&dir)?;
        Ok(dir)
    }

    fn step(&self, contender: Contender, task: Task, dir: &Path) -> anyhow::Result<Outcome> {
        finish(self.start(contender, task, dir)?, contender)
    }

    fn start(&self, contender: Contender, task: Task, dir: &Path) -> anyhow::Result<Child> {
        let step = Step { contender, task, dir: dir.to_owned(), sizes: self.sizes, cpu: self.cpu };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").arg(serde_json::to_string(&step)?);
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
    }
}

/// Waits for a child and reads its outcome.
fn finish(mut child: Child, contender: Contender) -> anyhow::Result<Outcome> {
    let began = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() > STEP_TIME_MAX {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    ensure!(status.success(), "{} failed: {status}", contender.name());
    let mut text = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut text)?;
    let line = text.lines().last().with_context(|| format!("{} said nothing", contender.name()))?;
    serde_json::from_str(line).with_context(|| line.to_owned())
}

/// A directory of this run, gone with it.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn new(parent: &Path) -> anyhow::Result<Scratch> {
        let dir = parent.join(format!("compare-data-{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        Ok(Scratch { dir: fs::canonicalize(dir)? })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("{} could not be removed: {error}", self.dir.display());
        }
    }
}

//! From options to running cores, and back.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement};

use super::mesh::{Mesh, Post};
use super::probe::{self, probe};
use super::{RealFile, RealRuntime, Stopper};
use crate::{BLOCK_BYTES, Buffer, CoreId, File, OpenOptions, Runtime};

/// What the process runs on.
#[derive(Clone, Debug)]
pub struct RealOptions {
    /// OS ids of the cpus to use: one executor each, core ids in this order. Repeats are allowed.
    pub cores: Vec<usize>,
    /// Where the data will be; must exist and be writable. Probed before `main` runs. None for a process that opens no files.
    pub data_dir: Option<PathBuf>,
    /// Packets that one core's mailbox holds before senders wait.
    pub mailbox_packets_max: usize,
    /// Memory that each core registers with the kernel for files' buffers, in bytes; buffers beyond are ordinary.
    pub io_memory_bytes: usize,
    /// How long an idle core looks for work before it sleeps. More saves wake-ups and burns the cpu.
    pub spin_before_sleep: Duration,
    /// Asks the cores to stop.
    pub stopper: Stopper,
}

impl RealOptions {
    /// With the defaults for everything else.
    pub fn new(cores: Vec<usize>, data_dir: impl Into<PathBuf>) -> RealOptions {
        RealOptions { data_dir: Some(data_dir.into()), ..RealOptions::diskless(cores) }
    }

    /// For a process that opens no files.
    pub fn diskless(cores: Vec<usize>) -> RealOptions {
        RealOptions {
            cores,
            data_dir: None,
            mailbox_packets_max: 4096,
            io_memory_bytes: 1 << 20,
            spin_before_sleep: Duration::ZERO,
            stopper: Stopper::new(),
        }
    }
}

/// Why nothing was started. Says what to do.
#[derive(Debug)]
pub enum StartError {
    /// This machine or directory lacks something; the text says what to do.
    Unsuitable(String),
    /// An executor did not start on this cpu.
    Executor {
        /// OS id of the cpu.
        cpu: usize,
        /// Why.
        reason: String,
    },
    /// A file could not be used as the probe had promised.
    Disk {
        /// OS id of the cpu.
        cpu: usize,
        /// What was tried.
        what: &'static str,
        /// How it failed.
        source: io::Error,
    },
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Unsuitable(what_to_do) => f.write_str(what_to_do),
            StartError::Executor { cpu, reason } => {
                write!(
                    f,
                    "no executor on cpu {cpu}: {reason} (is that cpu allowed to this process? see `taskset -p`)"
                )
            }
            StartError::Disk { cpu, what, source } => {
                write!(f, "the data directory failed the start-up test ({what}, on cpu {cpu}): {source}")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// Runs `main` on each core, with its handle; returns when all have returned.
///
/// No `main` begins before every core has passed its start-up test. A panic on any core aborts the process.
///
/// # Errors
/// Only before any `main` has begun.
pub fn run<F, Fut>(options: RealOptions, main: F) -> Result<(), StartError>
where
    F: Fn(RealRuntime) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    assert!(!options.cores.is_empty(), "a process runs on at least one core");
    assert!(options.cores.len() <= usize::from(u16::MAX), "core ids have 16 bits");
    let obstacle = match &options.data_dir {
        Some(data_dir) => probe(data_dir).obstacle().map(str::to_owned),
        None => probe::obstacle_without_disk(),
    };
    if let Some(obstacle) = obstacle {
        return Err(StartError::Unsuitable(obstacle));
    }
    abort_on_panic();
    let post = Post::new(options.cores.len(), options.mailbox_packets_max);
    options.stopper.attach(&post);
    let (report, reports) = flume::bounded(options.cores.len());
    let mut threads = Vec::new();
    for core in 0..options.cores.len() {
        let (go, may_go) = flume::bounded(1);
        let gate = Gate { report: report.clone(), may_go };
        let (options, post, main) = (options.clone(), post.clone(), main.clone());
        threads.push((go, start_thread(core, move || run_core(core, &options, post, gate, main))));
    }
    drop(report);
    let started: Result<(), StartError> = reports.iter().take(options.cores.len()).collect();
    for (go, _) in &threads {
        go.send(started.is_ok())
            .unwrap_or_else(|_| assert!(started.is_err(), "a good core waits for its go"));
    }
    for (_, thread) in threads {
        thread.join().expect("a panic would have aborted the process");
    }
    started
}

fn start_thread(core: usize, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    let builder = std::thread::Builder::new().name(format!("core-{core}"));
    builder.spawn(work).expect("a process may have a thread per core")
}

/// How a core says that it is ready, and hears that all are.
struct Gate {
    report: flume::Sender<Result<(), StartError>>,
    may_go: flume::Receiver<bool>,
}

impl Gate {
    /// Whether `main` shall begin. Blocks the core: nothing else is to be done before that.
    fn pass(&self, outcome: Result<(), StartError>) -> bool {
        let ready = outcome.is_ok();
        self.report.send(outcome).expect("run waits for every report");
        self.may_go.recv().expect("run answers every report") && ready
    }
}

fn run_core<F, Fut>(core: usize, options: &RealOptions, post: Arc<Post>, gate: Gate, main: F)
where
    F: Fn(RealRuntime) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    ON_CORE.set(Some(core));
    let cpu = options.cores[core];
    let executor = LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name("core")
        .io_memory(options.io_memory_bytes)
        .spin_before_park(options.spin_before_sleep)
        .make();
    let executor = match executor {
        Ok(executor) => executor,
        Err(error) => {
            gate.pass(Err(StartError::Executor { cpu, reason: error.to_string() }));
            return;
        }
    };
    executor.run(async move {
        let mesh = Mesh::new(post, CoreId(core as u16));
        let tested = async {
            let runtime = RealRuntime::start(CoreId(core as u16), options.cores.len(), mesh);
            let runtime = runtime.map_err(|error| StartError::Executor { cpu, reason: error.to_string() })?;
            if let Some(data_dir) = &options.data_dir {
                test_disk(&runtime, data_dir, cpu).await?;
            }
            Ok(runtime)
        };
        match tested.await {
            Err(error) => _ = gate.pass(Err(error)),
            Ok(runtime) => {
                if gate.pass(Ok(())) {
                    main(runtime.clone()).await;
                    runtime.close();
                }
            }
        }
    });
}

/// How long the start-up test of one core may take. A write on a device that works takes milliseconds at most.
const TEST_TIME_MAX: Duration = Duration::from_secs(5);

/// Opens a non-empty file first (see the story of this module), then writes and reads one block.
async fn test_disk(runtime: &RealRuntime, data_dir: &Path, cpu: usize) -> Result<(), StartError> {
    let name = format!(".start-{}-{}", std::process::id(), runtime.core().0);
    let path = data_dir.join(name);
    let failed = |what| move |source| StartError::Disk { cpu, what, source };
    probe::write_first_file(&path).map_err(failed("creating a file"))?;
    let outcome = crate::sync::timeout(runtime, TEST_TIME_MAX, write_and_read(&path)).await;
    let removed = runtime.remove(&path).await;
    match outcome {
        Ok(Ok(())) => removed.map_err(failed("removing a file")),
        Ok(Err(error)) => Err(failed("a durable direct write and a read through io_uring")(error)),
        Err(_) => Err(failed("a write and a read through io_uring")(io::ErrorKind::TimedOut.into())),
    }
}

async fn write_and_read(path: &Path) -> io::Result<()> {
    drop(RealFile::open(path, OpenOptions::READ).await?);
    let file = RealFile::open(path, OpenOptions::WRITE_DSYNC).await?;
    let mut buffer = file.buffer(BLOCK_BYTES);
    buffer.as_mut_slice().fill(0xC3);
    file.write_at(Rc::new(buffer), 0).await?;
    let bytes = file.read_at(0, BLOCK_BYTES).await?;
    if bytes.len() == BLOCK_BYTES && bytes.iter().all(|byte| *byte == 0xC3) {
        return Ok(());
    }
    Err(io::Error::other("a block was read back otherwise than it was written"))
}

thread_local! {
    /// The core that this thread runs, if any.
    static ON_CORE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// From now on a panic on a core's thread ends the process, before anything is dropped: as a crash would.
fn abort_on_panic() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let Some(core) = ON_CORE.get() else { return before(panic) };
            let trace = std::backtrace::Backtrace::capture();
            // Not eprintln: a test harness would keep that for itself and lose it with the process.
            let mut stderr = io::stderr().lock();
            let message = format!("core {core} panicked, the process stops now: {panic}\n{trace}\n");
            drop(stderr.write_all(message.as_bytes()));
            std::process::abort();
        }));
    });
}

//! What the runtime does on this machine: `cargo bench -p runtime -- [DIRECTORY [SCALE [PARTS]]]`, where PARTS are some
//! of `sim,idle,disk,mesh,echo`. `cargo test` runs it with a tiny input, so that it does not rot.
//!
//! The sketch, for a virtual machine with a virtio disk and two cpus: a durable 4 KiB write costs one trip to the
//! device (60 us) plus the ring (10 us); four in flight overlap nearly fully; a packet to a core that is awake costs
//! a queue and a poll (1 us), to one that sleeps an interrupt on top (5 to 50 us); an echo costs two system calls and
//! two polls on each side (10 us of cpu); an idle core costs nothing.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use runtime::real::{RealFile, RealListener, RealOptions, RealRuntime, check_port_free, probe, run};
use runtime::sim::{World, WorldOptions};
use runtime::sync::join_all;
use runtime::{BLOCK_BYTES, Buffer, Class, CoreId, File, Listener, Mono, OpenOptions, Runtime, Stream, Task};

fn main() {
    // `cargo bench` says --bench; `cargo test` does not.
    let full = std::env::args().any(|argument| argument == "--bench");
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let beside = std::env::current_exe().expect("this program is a file").with_file_name("measure-data");
    let directory = arguments.next().map_or(beside, PathBuf::from);
    #[expect(clippy::disallowed_methods, reason = "before the runtime starts")]
    std::fs::create_dir_all(&directory).expect("data goes beside this program, or where you said");
    let scale: u32 = arguments.next().map_or(100, |scale| scale.parse().expect("SCALE is in percent"));
    let scale = if full { scale } else { 1 };
    println!("{:#?}", probe(&directory));
    let cpus: Vec<usize> =
        core_affinity::get_core_ids().expect("cpus").iter().map(|id| id.id).take(2).collect();
    let cores = if cpus.len() == 2 { cpus } else { vec![cpus[0]; 2] };
    let parts = arguments.next().unwrap_or_else(|| "sim,idle,disk,mesh,echo".to_owned());
    let options = RealOptions::new(cores, &directory);
    let address = check_port_free(([127, 0, 0, 1], 0).into()).expect("some port is free");
    let stopper = options.stopper.clone();
    run(options, move |runtime| {
        let (directory, stopper, parts) = (directory.clone(), stopper.clone(), parts.clone());
        async move {
            if runtime.core() == CoreId(1) {
                let answer = runtime.clone();
                let answering = runtime.spawn(Class::Foreground, async move {
                    while let Ok((from, packet)) = answer.mesh_receive().await {
                        answer.mesh_send(from, packet).await.expect("core 0 is there");
                    }
                });
                let listener = runtime.listen(address).await.expect("the port is free");
                let serving = runtime.spawn(Class::Foreground, serve(runtime.clone(), listener));
                runtime.mesh_send(CoreId(0), b"listening".to_vec()).await.expect("core 0 is there");
                runtime.stopped().await;
                drop((answering, serving));
                return;
            }
            runtime.mesh_receive().await.expect("core 1 listens");
            let wanted = |part: &str| parts.split(',').any(|wanted| wanted == part);
            if wanted("sim") {
                worlds(&runtime, 10 * scale);
            }
            if wanted("idle") {
                idle(&runtime, Duration::from_millis(20 * u64::from(scale))).await;
            }
            if wanted("disk") {
                disk(&runtime, &directory, 10 * scale).await;
            }
            if wanted("mesh") {
                mesh(&runtime, 50 * scale).await;
            }
            if wanted("echo") {
                for connections in [1, 16, 64] {
                    echo(&runtime, address, connections, 200 * scale).await;
                }
            }
            stopper.stop();
        }
    })
    .unwrap_or_else(|error| panic!("{error}"));
}

/// Time and cpu since something began.
struct Meter {
    begin: Mono,
    cpu: Duration,
}

impl Meter {
    fn start(runtime: &RealRuntime) -> Meter {
        Meter { begin: runtime.now(), cpu: cpu_time() }
    }

    /// Rate, cpu of all cores for each (this program drives and serves), and the times, if each was taken.
    fn report(&self, runtime: &RealRuntime, what: &str, count: usize, mut times: Vec<Duration>) {
        let all = runtime.now().since(self.begin).as_secs_f64();
        let cpu = cpu_time().saturating_sub(self.cpu).as_secs_f64() * 1e6 / count as f64;
        print!("{what:<44} {:>8.0}/s {cpu:>7.1} us cpu", count as f64 / all);
        times.sort();
        for (name, part) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
            if let Some(most) = times.len().checked_sub(1) {
                print!("  {name} {:>7.1}", times[most * part / 1000].as_nanos() as f64 / 1000.0);
            }
        }
        println!();
    }
}

async fn timed<R: Runtime>(runtime: &R, work: impl Future<Output = ()>) -> Duration {
    let begin = runtime.now();
    work.await;
    runtime.now().since(begin)
}

#[expect(clippy::disallowed_methods, reason = "what the kernel says about this process is not on a disk")]
fn kernel_says(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn cpu_time() -> Duration {
    let per_thread = |path: PathBuf| {
        let text = kernel_says(&path.join("schedstat"));
        text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    };
    let threads = Path::new("/proc/self/task").read_dir().expect("Linux").flatten();
    Duration::from_nanos(threads.map(|thread| per_thread(thread.path())).sum())
}

async fn idle(runtime: &RealRuntime, duration: Duration) {
    let before = cpu_time();
    runtime.sleep(duration).await;
    let used = cpu_time().saturating_sub(before);
    let text = kernel_says("/proc/self/statm".as_ref());
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("Linux");
    println!(
        "idle for {duration:?}: {:.2} ms of cpu, {} KiB resident",
        used.as_secs_f64() * 1000.0,
        pages * 4
    );
}

fn block(file: &RealFile, byte: u8) -> Rc<<RealFile as File>::Buffer> {
    let mut buffer = file.buffer(BLOCK_BYTES);
    buffer.as_mut_slice().fill(byte);
    Rc::new(buffer)
}

/// Simulated crashes and recoveries of a small log: ten durable and ten other writes, a crash, all read back.
fn worlds(runtime: &RealRuntime, count: u32) {
    let (begin, mut hash, mut events) = (runtime.now(), 0, 0);
    for seed in 0..u64::from(count) {
        let world = World::new(seed, WorldOptions::default());
        let node = world.node("n");
        let handle = world.runtime(node);
        world.block_on(async {
            let log = handle.open("/log".as_ref(), OpenOptions::CREATE_DSYNC).await.expect("a new file");
            let other = handle.open("/other".as_ref(), OpenOptions::CREATE).await.expect("a new file");
            handle.sync_dir("/".as_ref()).await.expect("no faults");
            for number in 0..10 {
                let offset = number * BLOCK_BYTES as u64;
                log.write_at(Rc::new(log.buffer(BLOCK_BYTES)), offset).await.expect("no faults");
                other.write_at(Rc::new(other.buffer(BLOCK_BYTES)), offset).await.expect("no faults");
            }
        });
        world.crash(node);
        let handle = world.runtime(node);
        world.block_on(async {
            let log = handle.open("/log".as_ref(), OpenOptions::READ).await.expect("its name was synced");
            for number in 0..10 {
                let bytes = log.read_at(number * BLOCK_BYTES as u64, BLOCK_BYTES).await.expect("no faults");
                assert_eq!(bytes.len(), BLOCK_BYTES, "durable");
            }
        });
        hash ^= world.trace_hash();
        events += world.trace_events();
    }
    let time = runtime.now().since(begin).as_secs_f64();
    let (rate, events) = (f64::from(count) / time, events as f64 / time);
    println!("simulated crash and recovery: {rate:.0} worlds/s, {events:.0} events/s, hash {hash:032x}");
}

async fn disk(runtime: &RealRuntime, directory: &Path, count: u32) {
    const BLOCKS: u64 = 1024;
    let path = directory.join("measure.tmp");
    let file = runtime.open(&path, OpenOptions::CREATE_DSYNC).await.expect("a new file");
    let mut first = file.buffer(BLOCKS as usize * BLOCK_BYTES);
    first.as_mut_slice().fill(1);
    file.write_at(Rc::new(first), 0).await.expect("blocks are written before");
    for in_flight in [1, 4, 16] {
        let meter = Meter::start(runtime);
        let lane = |lane: u64| {
            let (file, runtime) = (file.clone(), runtime.clone());
            async move {
                let mut times = Vec::new();
                for number in 0..u64::from(count) {
                    let offset = (number * in_flight + lane) % BLOCKS * BLOCK_BYTES as u64;
                    let write = async { file.write_at(block(&file, 2), offset).await.expect("a write") };
                    times.push(timed(&runtime, write).await);
                }
                times
            }
        };
        let times = join_all((0..in_flight).map(lane)).await.concat();
        let what = format!("durable 4 KiB writes, {in_flight} in flight");
        meter.report(runtime, &what, times.len(), times);
    }
    let meter = Meter::start(runtime);
    let mut times = Vec::new();
    for number in 0..u64::from(count) {
        let offset = number * 7919 % BLOCKS * BLOCK_BYTES as u64;
        let read = async { drop(file.read_at(offset, BLOCK_BYTES).await.expect("a read")) };
        times.push(timed(runtime, read).await);
    }
    meter.report(runtime, "4 KiB reads, 1 in flight", times.len(), times);
    runtime.remove(&path).await.expect("the file is there");
}

async fn mesh(runtime: &RealRuntime, count: u32) {
    for (what, rest, count) in [("busy", 0, count), ("after 1 ms of sleep", 1, count / 20)] {
        let (meter, mut times) = (Meter::start(runtime), Vec::new());
        for _ in 0..count {
            if rest > 0 {
                runtime.sleep(Duration::from_millis(rest)).await;
            }
            let trip = async {
                runtime.mesh_send(CoreId(1), vec![0; 128]).await.expect("core 1 is there");
                runtime.mesh_receive().await.expect("core 1 answers");
            };
            times.push(timed(runtime, trip).await);
        }
        meter.report(runtime, &format!("mesh round trip, {what}"), times.len(), times);
    }
    let (meter, window) = (Meter::start(runtime), 64);
    for number in 0..count * 10 {
        runtime.mesh_send(CoreId(1), vec![0; 128]).await.expect("core 1 is there");
        if number >= window {
            runtime.mesh_receive().await.expect("core 1 answers");
        }
    }
    for _ in 0..window {
        runtime.mesh_receive().await.expect("core 1 answers");
    }
    meter.report(runtime, "mesh round trips, 64 in flight", count as usize * 10, Vec::new());
}

async fn serve(runtime: RealRuntime, listener: RealListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        runtime
            .spawn(Class::Foreground, async move {
                let mut buffer = [0; 4096];
                while let Ok(size) = stream.read(&mut buffer).await {
                    if size == 0 || stream.write_all(&buffer[..size]).await.is_err() {
                        return;
                    }
                }
            })
            .detach();
    }
}

async fn echo(runtime: &RealRuntime, address: std::net::SocketAddr, connections: u32, count: u32) {
    let meter = Meter::start(runtime);
    let client = |_| {
        let client = runtime.clone();
        runtime.spawn(Class::Foreground, async move {
            let stream = client.connect(address).await.expect("core 1 listens");
            let (mut times, mut buffer) = (Vec::new(), [0; 4096]);
            for _ in 0..count / connections {
                let trip = async {
                    stream.write_all(&[7; 128]).await.expect("core 1 reads");
                    let mut left = 128;
                    while left > 0 {
                        left -= stream.read(&mut buffer).await.expect("core 1 answers");
                    }
                };
                times.push(timed(&client, trip).await);
            }
            times
        })
    };
    let times = join_all((0..connections).map(client)).await.concat();
    let what = format!("echo of 128 bytes, {connections} connections");
    meter.report(runtime, &what, times.len(), times);
}

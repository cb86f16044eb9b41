//! The real thing: real cores, sockets and files, in directories beside the test binary.
//!
//! A failed assertion on a core aborts the whole test binary, with its message: that is what a core does.

use std::cell::Cell;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::{
    RealFile, RealListener, RealOptions, RealRuntime, StartError, Stopper, check_port_free, probe, run,
};
use crate::sync::{join_all, timeout};
use crate::{
    BLOCK_BYTES, Buffer, Class, CoreId, File, Listener, OpenOptions, Purpose, Runtime, Stream, Task,
};

/// A directory that goes when the test ends.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Scratch {
        let beside = std::env::current_exe().unwrap();
        let path = beside.with_file_name(format!("scratch-{}-{name}", std::process::id()));
        #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
        std::fs::create_dir_all(&path).unwrap();
        Scratch { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).unwrap();
    }
}

/// Two cpus that this process may use; the same one twice where there is only one.
fn cpus(count: usize) -> Vec<usize> {
    let allowed = core_affinity::get_core_ids().unwrap();
    (0..count).map(|index| allowed[index % allowed.len()].id).collect()
}

fn on_cores<Fut>(
    name: &str,
    cores: usize,
    main: impl Fn(RealRuntime, PathBuf) -> Fut + Clone + Send + 'static,
) where
    Fut: Future<Output = ()> + 'static,
{
    let scratch = Scratch::new(name);
    let directory = scratch.path.clone();
    run(RealOptions::new(cpus(cores), &scratch.path), move |runtime| main(runtime, directory.clone()))
        .unwrap();
}

fn filled(file: &RealFile, blocks: usize, byte: u8) -> Rc<<RealFile as File>::Buffer> {
    let mut buffer = file.buffer(blocks * BLOCK_BYTES);
    buffer.as_mut_slice().fill(byte);
    Rc::new(buffer)
}

#[test]
fn a_file_is_written_read_and_renamed() {
    on_cores("file", 1, |runtime, directory| async move {
        let deep = directory.join("a/b");
        runtime.create_dir(&deep).await.unwrap();
        runtime.create_dir(&deep).await.unwrap();
        let (old, new) = (deep.join("old"), deep.join("new"));
        let file = runtime.open(&old, OpenOptions::CREATE_DSYNC).await.unwrap();
        let again = runtime.open(&old, OpenOptions::CREATE).await.err().unwrap();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        file.allocate(0).await.unwrap();
        file.allocate(4 * BLOCK_BYTES as u64).await.unwrap();
        let buffer = filled(&file, 2, 7);
        file.write_at(buffer.clone(), BLOCK_BYTES as u64).await.unwrap();
        Rc::try_unwrap(buffer).expect("the buffer is ours again after the write");
        let bytes = file.read_at(0, 8 * BLOCK_BYTES).await.unwrap();
        assert_eq!(bytes.len(), 4 * BLOCK_BYTES, "the file ends there");
        assert_eq!((bytes[BLOCK_BYTES - 1], bytes[BLOCK_BYTES], bytes[3 * BLOCK_BYTES]), (0, 7, 0));
        runtime.rename(&old, &new).await.unwrap();
        file.truncate(100).await.unwrap();
        assert_eq!(file.size().await.unwrap(), 100, "asked of the file, not of a name");
        assert_eq!(file.read_at(0, BLOCK_BYTES).await.unwrap().len(), 100);
        assert!(file.read_at(BLOCK_BYTES as u64, BLOCK_BYTES).await.unwrap().is_empty());
        file.sync().await.unwrap();
        runtime.sync_dir(&deep).await.unwrap();
        let names: Vec<_> = runtime.list(&deep).await.unwrap();
        assert_eq!(names.len(), 1);
        assert_eq!((names[0].name.as_str(), names[0].is_dir, names[0].size), ("new", false, 100));
        assert!(runtime.list(&directory).await.unwrap()[0].is_dir);
        runtime.remove(&new).await.unwrap();
        assert_eq!(runtime.remove(&new).await.unwrap_err().kind(), ErrorKind::NotFound);
        let missing = runtime.open(&new, OpenOptions::READ).await.err().unwrap();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(runtime.disk_free(&directory).unwrap() > 0);
    });
}

#[test]
fn one_buffer_serves_writes_of_different_sizes() {
    on_cores("sizes", 1, |runtime, directory| async move {
        let file = runtime.open(&directory.join("file"), OpenOptions::CREATE_DSYNC).await.unwrap();
        file.allocate(8 * BLOCK_BYTES as u64).await.unwrap();
        let mut buffer = filled(&file, 4, 3);
        for (blocks, offset) in [(1, 0), (4, 1), (2, 5)] {
            Rc::get_mut(&mut buffer).unwrap().set_size(blocks * BLOCK_BYTES);
            assert_eq!(buffer.as_slice().len(), blocks * BLOCK_BYTES);
            assert_eq!(buffer.capacity(), 4 * BLOCK_BYTES);
            file.write_at(buffer.clone(), offset * BLOCK_BYTES as u64).await.unwrap();
        }
        let bytes = file.read_at(0, 8 * BLOCK_BYTES).await.unwrap();
        assert!(bytes[..7 * BLOCK_BYTES].iter().all(|byte| *byte == 3), "all three arrived whole");
        assert!(bytes[7 * BLOCK_BYTES..].iter().all(|byte| *byte == 0), "and nothing beyond");
    });
}

#[test]
fn many_writes_in_flight_all_arrive() {
    on_cores("writes", 1, |runtime, directory| async move {
        let file = runtime.open(&directory.join("file"), OpenOptions::CREATE_DSYNC).await.unwrap();
        file.allocate(64 * BLOCK_BYTES as u64).await.unwrap();
        let writes = (0..64u8).map(|number| {
            let file = file.clone();
            async move {
                let offset = u64::from(number) * BLOCK_BYTES as u64;
                file.write_at(filled(&file, 1, number), offset).await
            }
        });
        assert!(join_all(writes).await.iter().all(Result::is_ok));
        let bytes = file.read_at(0, 64 * BLOCK_BYTES).await.unwrap();
        for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
            assert!(block.iter().all(|byte| usize::from(*byte) == number));
        }
    });
}

/// More reads than are handed over at once, from one task and from many, and each gives its own block.
#[test]
fn many_reads_in_flight_all_arrive() {
    const BLOCKS: u8 = 61;
    on_cores("reads", 1, |runtime, directory| async move {
        let file = runtime.open(&directory.join("file"), OpenOptions::CREATE).await.unwrap();
        for number in 0..BLOCKS {
            let offset = u64::from(number) * BLOCK_BYTES as u64;
            file.write_at(filled(&file, 1, number), offset).await.unwrap();
        }
        let read = |number: u8| {
            let file = file.clone();
            async move {
                let bytes = file.read_at(u64::from(number) * BLOCK_BYTES as u64, BLOCK_BYTES).await.unwrap();
                assert!(bytes.len() == BLOCK_BYTES && bytes.iter().all(|byte| *byte == number));
            }
        };
        let tasks: Vec<_> =
            (0..BLOCKS).map(|number| runtime.spawn(Class::Foreground, read(number))).collect();
        assert_eq!(join_all(tasks).await.len(), usize::from(BLOCKS));
        assert_eq!(join_all((0..BLOCKS).map(read)).await.len(), usize::from(BLOCKS));
    });
}

/// A task of a low class computes in slices and yields between them: a write of the foreground is not to wait for more
/// than a few of those, neither to reach the device nor to be noticed when it is done.
#[test]
fn who_yields_lets_io_of_others_through() {
    /// Each keeps the core so long.
    const SLICE: Duration = Duration::from_micros(100);
    const WRITES: u64 = 8;
    on_cores("yields", 1, |runtime, directory| async move {
        let file = runtime.open(&directory.join("file"), OpenOptions::CREATE).await.unwrap();
        file.allocate(WRITES * BLOCK_BYTES as u64).await.unwrap();
        let (slices, done) = (Rc::new(Cell::new(0u64)), Rc::new(Cell::new(false)));
        let (own, counted, ended) = (runtime.clone(), slices.clone(), done.clone());
        let busy = runtime.spawn(Class::Compaction, async move {
            while !ended.get() {
                let begin = own.now();
                while own.now().since(begin) < SLICE {
                    std::hint::spin_loop();
                }
                counted.set(counted.get() + 1);
                own.yield_now().await;
            }
        });
        let writer = runtime.spawn(Class::Foreground, async move {
            for block in 0..WRITES {
                file.write_at(filled(&file, 1, 1), block * BLOCK_BYTES as u64).await.unwrap();
            }
        });
        writer.await;
        done.set(true);
        busy.await;
        // Each write waited twice for the preemption timer of 100 ms once: 16,000 slices. A slow disk takes some too.
        assert!(slices.get() < 4000, "{} slices for {WRITES} writes", slices.get());
    });
}

async fn echo_server(runtime: RealRuntime, listener: RealListener) {
    let accepting = runtime.clone();
    let accept = runtime.spawn(Class::Foreground, async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            accepting.spawn(Class::Foreground, echo(stream)).detach();
        }
    });
    runtime.stopped().await;
    drop(accept);
}

async fn echo(stream: impl Stream) {
    let mut buffer = [0; 1000];
    while let Ok(size) = stream.read(&mut buffer).await {
        if size == 0 || stream.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}

/// Sends and receives at once, on one stream.
async fn echo_client(runtime: RealRuntime, address: SocketAddr, number: u8) {
    let stream = Rc::new(runtime.connect(address).await.unwrap());
    assert_eq!(stream.peer_address(), address);
    let writer = stream.clone();
    let writing = runtime.spawn(Class::Foreground, async move {
        writer.write_all(&vec![number; 300_000]).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let (mut received, mut buffer) = (0, [0; 4096]);
    loop {
        let size = stream.read(&mut buffer).await.unwrap();
        if size == 0 {
            break;
        }
        assert!(buffer[..size].iter().all(|byte| *byte == number));
        received += size;
    }
    assert_eq!(received, 300_000);
    writing.await;
}

#[test]
fn many_connections_echo_over_two_cores_and_stop_ends_it() {
    let scratch = Scratch::new("echo");
    let address = check_port_free(([127, 0, 0, 1], 0).into()).unwrap();
    let options = RealOptions::new(cpus(2), &scratch.path);
    let stopper = options.stopper.clone();
    run(options, move |runtime| {
        let stopper = stopper.clone();
        async move {
            let listener = runtime.listen(address).await.unwrap();
            let server = runtime.spawn(Class::Foreground, echo_server(runtime.clone(), listener));
            if runtime.core() == CoreId(1) {
                runtime.mesh_send(CoreId(0), b"listening".to_vec()).await.unwrap();
            } else {
                runtime.mesh_receive().await.unwrap();
                let clients = (0..50).map(|number| echo_client(runtime.clone(), address, number));
                join_all(clients).await;
                stopper.stop();
            }
            server.await;
        }
    })
    .unwrap();
}

#[test]
fn a_second_process_on_the_same_port_is_refused() {
    on_cores("port", 1, |runtime, _| async move {
        let address = check_port_free(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = runtime.listen(address).await.unwrap();
        assert_eq!(listener.local_address(), address);
        let _shares_the_port = runtime.listen(address).await.unwrap();
        assert_eq!(check_port_free(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
    });
    let nobody = check_port_free(([127, 0, 0, 1], 0).into()).unwrap();
    on_cores("refused", 1, move |runtime, _| async move {
        assert_eq!(runtime.connect(nobody).await.err().unwrap().kind(), ErrorKind::ConnectionRefused);
    });
}

/// Core 1 answers what core 0 sends; `rest` is how long core 0 lets it sleep in between.
fn ping_pong(name: &str, rounds: u32, rest: Duration) {
    on_cores(name, 2, move |runtime, _| async move {
        if runtime.core() == CoreId(1) {
            for _ in 0..rounds {
                let (from, packet) = runtime.mesh_receive().await.unwrap();
                runtime.mesh_send(from, packet).await.unwrap();
            }
            return;
        }
        for round in 0..rounds {
            runtime.sleep(rest).await;
            runtime.mesh_send(CoreId(1), round.to_le_bytes().to_vec()).await.unwrap();
            let (from, packet) = runtime.mesh_receive().await.unwrap();
            assert_eq!((from, packet), (CoreId(1), round.to_le_bytes().to_vec()));
        }
        assert!(runtime.mesh_send(CoreId(2), vec![]).await.is_err());
    });
}

#[test]
fn mail_wakes_a_core() {
    ping_pong("ping", 2000, Duration::ZERO);
    ping_pong("sleepy", 20, Duration::from_millis(3));
}

/// Mail comes at each moment of going to sleep, and nothing but mail wakes core 1: who looks into its mailbox for the last time and who asks whether it
/// sleeps must not miss each other.
#[test]
fn mail_that_comes_as_a_core_goes_to_sleep_wakes_it() {
    const ROUNDS: u32 = 20_000;
    const LOST: Duration = Duration::from_secs(20);
    on_cores("falling-asleep", 2, move |runtime, _| async move {
        for round in 0..ROUNDS {
            if runtime.core() == CoreId(1) {
                let (from, packet) = runtime.mesh_receive().await.unwrap();
                runtime.mesh_send(from, packet).await.unwrap();
                continue;
            }
            let begin = runtime.now();
            while runtime.now().since(begin) < Duration::from_nanos(200) * (round % 100) {
                std::hint::spin_loop();
            }
            runtime.mesh_send(CoreId(1), vec![]).await.unwrap();
            let answer = timeout(&runtime, LOST, runtime.mesh_receive()).await;
            assert!(answer.is_ok(), "core 1 sleeps on its mail, round {round}");
        }
    });
}

/// The timer that ends a sleep stays for the next one, unless that has to end earlier.
#[test]
fn a_short_sleep_is_not_held_up_by_a_long_one() {
    const LONG: Duration = Duration::from_secs(60);
    on_cores("alarms", 1, |runtime, _| async move {
        let begin = runtime.now();
        let sleeper = runtime.clone();
        let long = runtime.spawn(Class::Foreground, async move { sleeper.sleep(LONG).await });
        for round in 0..60 {
            // Growing ones are earlier than the alarm that is set, shrinking ones, too; equal ones wait for it to be set again.
            let length = [round, 60 - round, 5][round as usize % 3];
            runtime.sleep(Duration::from_millis(length)).await;
        }
        let passed = runtime.now().since(begin);
        assert!(passed < LONG / 2, "sixty short sleeps took {passed:?}");
        drop(long);
    });
}

#[test]
fn full_mailboxes_make_senders_wait_and_lose_nothing() {
    let scratch = Scratch::new("mail");
    let options = RealOptions { mailbox_packets_max: 2, ..RealOptions::new(cpus(3), &scratch.path) };
    run(options, |runtime| async move {
        let sender = runtime.clone();
        let others = (0..3).map(CoreId).filter(|core| *core != runtime.core()).collect::<Vec<_>>();
        let sending = runtime.spawn(Class::Foreground, async move {
            let sends = others.into_iter().map(|to| {
                let sender = sender.clone();
                async move {
                    for number in 0..500u32 {
                        sender.mesh_send(to, number.to_le_bytes().to_vec()).await.unwrap();
                    }
                }
            });
            join_all(sends).await;
        });
        let mut next = [0u32; 3];
        for _ in 0..1000 {
            let (from, packet) = runtime.mesh_receive().await.unwrap();
            let expected = &mut next[usize::from(from.0)];
            assert_eq!(packet, expected.to_le_bytes(), "in order per sender");
            *expected += 1;
        }
        sending.await;
    })
    .unwrap();
}

#[test]
fn mail_to_a_core_that_has_ended_is_refused() {
    let scratch = Scratch::new("ended");
    let options = RealOptions { mailbox_packets_max: 2, ..RealOptions::new(cpus(2), &scratch.path) };
    run(options, |runtime| async move {
        if runtime.core() == CoreId(0) {
            // Full at first, so that this waits; then refused.
            while runtime.mesh_send(CoreId(1), vec![]).await.is_ok() {}
        } else {
            runtime.mesh_receive().await.unwrap();
        }
    })
    .unwrap();
}

#[test]
fn stop_from_another_thread_and_before_the_start() {
    let scratch = Scratch::new("stop");
    let early = RealOptions::new(cpus(2), &scratch.path);
    early.stopper.stop();
    run(early, |runtime| async move { runtime.stopped().await }).unwrap();

    let late = RealOptions::new(cpus(2), &scratch.path);
    let (ready, begun) = flume::bounded(2);
    let stopper: Stopper = late.stopper.clone();
    #[expect(clippy::disallowed_methods, reason = "a signal handler has a thread of its own, too")]
    let signal = std::thread::spawn(move || {
        assert_eq!(begun.iter().take(2).count(), 2);
        stopper.stop();
    });
    run(late, move |runtime| {
        let ready = ready.clone();
        async move {
            assert!(timeout(&runtime, Duration::from_millis(1), runtime.stopped()).await.is_err());
            ready.send(()).unwrap();
            runtime.stopped().await;
        }
    })
    .unwrap();
    signal.join().unwrap();
}

#[test]
fn time_passes_tasks_are_cancelled_and_numbers_differ() {
    on_cores("tasks", 1, |runtime, _| async move {
        let begin = runtime.now();
        runtime.sleep(Duration::from_millis(2)).await;
        assert!(runtime.now().since(begin) >= Duration::from_millis(2));
        assert!(runtime.wall().0 > 1_700_000_000_000_000);
        let ran = Rc::new(Cell::new(0));
        for class in [Class::Foreground, Class::Replication, Class::Compaction, Class::Background] {
            let (task, count) = (runtime.clone(), ran.clone());
            runtime
                .spawn(class, async move {
                    task.yield_now().await;
                    count.set(count.get() + 1);
                })
                .await;
        }
        let count = ran.clone();
        drop(runtime.spawn(Class::Foreground, async move { count.set(100) }));
        runtime.sleep(Duration::from_millis(1)).await;
        assert_eq!(ran.get(), 4);
        let numbers = [Purpose::Hash, Purpose::Id, Purpose::Id].map(|purpose| runtime.random(purpose));
        assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2]);
        assert!(!runtime.buggify("anything"));
    });
}

#[test]
fn a_loop_over_data_is_told_to_yield() {
    on_cores("yield", 1, |runtime, _| async move {
        let spinning = runtime.clone();
        let told = runtime.spawn(Class::Foreground, async move {
            let begin = spinning.now();
            while !spinning.should_yield() {
                assert!(spinning.now().since(begin) < Duration::from_secs(5), "told within its share");
            }
        });
        told.await;
    });
}

#[test]
fn the_probe_finds_what_the_tests_rely_on() {
    let scratch = Scratch::new("probe");
    let found = probe(&scratch.path);
    assert_eq!(found.obstacle(), None);
    assert!(found.open_files_max >= 256);
    assert!(found.bytes_free > 0 && *found.memlock.as_ref().unwrap() >= 512 * 1024);
    assert!(found.o_dsync.unwrap() > Duration::ZERO);
    assert_eq!(scratch.path.read_dir().unwrap().count(), 0, "nothing is left behind");
}

fn refusal(cores: Vec<usize>, directory: &Path) -> String {
    let started = run(RealOptions::new(cores, directory), |_| async { panic!("main must not begin") });
    started.unwrap_err().to_string()
}

#[test]
fn what_does_not_work_is_refused_with_advice() {
    let memory = refusal(cpus(1), "/dev/shm".as_ref());
    assert!(memory.contains("tmpfs") && memory.contains("ext4"), "{memory}");
    let missing = refusal(cpus(1), "/nowhere/at/all".as_ref());
    assert!(missing.contains("/nowhere/at/all"), "{missing}");
    let scratch = Scratch::new("cpu");
    let cpu = refusal(vec![cpus(1)[0], 9999], &scratch.path);
    assert!(cpu.contains("cpu 9999"), "{cpu}");
    let executor = StartError::Executor { cpu: 3, reason: "gone".to_owned() }.to_string();
    assert!(executor.contains("taskset"), "{executor}");
}

#[test]
fn a_panic_on_one_core_stops_the_process() {
    const CHILD: &str = "RUNTIME_TEST_PANIC";
    const THIS: &str = "real::tests::a_panic_on_one_core_stops_the_process";
    if std::env::var_os(CHILD).is_some() {
        return on_cores("child", 2, |runtime, _| async move {
            assert!(runtime.core() != CoreId(1), "this one breaks");
            runtime.stopped().await; // Never: only the end of the process ends this.
        });
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args([THIS, "--exact"]).env(CHILD, "1").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("core 1 panicked") && said.contains("this one breaks"), "{said}");
    // The child had no time to clean up: that is the point.
    let beside = std::env::current_exe().unwrap();
    for entry in beside.parent().unwrap().read_dir().unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if name.starts_with("scratch-") && name.ends_with("-child") {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

use super::*;

fn point(kind: TransferKind, size: usize, depth: usize, per_second: f64, us_p50: f64) -> Point {
    Point { kind, size, depth, per_second, us_p50, us_p99: us_p50 * 2.0 }
}

fn write(size: usize, depth: usize, per_second: f64, us_p50: f64) -> Point {
    point(TransferKind::Write, size, depth, per_second, us_p50)
}

fn read(size: usize, depth: usize, per_second: f64, us_p50: f64) -> Point {
    point(TransferKind::Read, size, depth, per_second, us_p50)
}

#[test]
fn the_log_goes_as_deep_as_it_pays() {
    let check = |rates: &[(usize, f64, f64)], depth| {
        let points: Vec<Point> =
            rates.iter().map(|(depth, rate, us)| write(4096, *depth, *rate, *us)).collect();
        assert_eq!(log_depth(&points), depth, "{rates:?}");
    };
    // A drive that scales until its eighth queue slot.
    check(&[(1, 20e3, 50.0), (2, 39e3, 51.0), (4, 75e3, 53.0), (8, 120e3, 66.0), (16, 124e3, 128.0)], 8);
    // One that takes one write after the other.
    check(&[(1, 1000.0, 990.0), (2, 1010.0, 1980.0), (4, 1012.0, 3900.0)], 1);
    // More a second at the price of everybody's wait.
    check(&[(1, 10e3, 100.0), (2, 14e3, 140.0), (4, 16e3, 250.0), (8, 18e3, 440.0)], 2);
    // A virtual disk: 16 at once were measured to cost a busy shard 5% of its requests, for smaller batches.
    check(
        &[
            (1, 7947.0, 98.7),
            (2, 14287.0, 131.0),
            (4, 22913.0, 161.0),
            (8, 33245.0, 223.0),
            (16, 65058.0, 230.0),
        ],
        4,
    );
    check(&[], 4);
}

#[test]
fn sizes_grow_as_long_as_it_pays() {
    // As measured on a virtual disk: each step moves a little more, to the end.
    let points = [
        read(16 << 10, 2, 18_053.0, 85.4),
        read(64 << 10, 2, 12_063.0, 166.0),
        read(128 << 10, 2, 8_638.0, 228.0),
        read(256 << 10, 2, 4_570.0, 432.0),
        read(1 << 20, 2, 1_791.0, 1103.0),
        read(64 << 10, 4, 15_086.0, 254.0),
        read(128 << 10, 4, 9_397.0, 417.0),
        write(64 << 10, 4, 22_232.0, 167.0),
        write(128 << 10, 4, 16_740.0, 224.0),
        write(256 << 10, 4, 12_388.0, 295.0),
        write(512 << 10, 4, 7_220.0, 538.0),
        write(1 << 20, 4, 3_894.0, 994.0),
    ];
    let settings = Use::of(&points, 0);
    assert_eq!(settings.read_ahead_bytes, 128 << 10, "256 KiB move 6% more");
    assert_eq!(settings.transfer_bytes, 256 << 10, "512 KiB move 17% more");
    // Three quarters of the slower direction.
    assert_eq!(settings.background_bytes_per_second, (1_791.0 * f64::from(1 << 20) * 0.75) as u64);

    // A disk that a large transfer holds for long: what more it moves is not worth the wait.
    let slow =
        [write(64 << 10, 4, 5e3, 700.0), write(128 << 10, 4, 4e3, 1100.0), read(16 << 10, 2, 1e3, 1800.0)];
    let settings = Use::of(&slow, 0);
    assert_eq!((settings.transfer_bytes, settings.read_ahead_bytes), (64 << 10, 16 << 10));
}

#[test]
fn shards_share_the_depth() {
    let check = |depth, shards, each| {
        let settings = Use { log_writes_in_flight: depth, ..sound().settings };
        assert_eq!(settings.log_writes_of(shards), each, "{depth} for {shards}");
    };
    check(16, 1, 16);
    check(16, 2, 8);
    check(16, 3, 5);
    check(16, 64, 4);
    check(2, 8, 2);
    check(1, 1, 1);
}

#[test]
fn what_follows_is_always_allowed() {
    let strange = [
        vec![],
        vec![write(4096, 1, 0.1, 9e6)],
        vec![write(64 << 20, 1, 1e4, 1.0), read(64 << 20, 4, 1e4, 1.0)],
        vec![write(4096, 1024, 1e9, 1.0), read(4096, 2, 1e9, 1.0)],
    ];
    for points in strange {
        Use::of(&points, u64::MAX).check().unwrap();
    }
}

fn sound() -> Profile {
    let points = vec![
        write(4096, 1, 20e3, 49.0),
        write(4096, 4, 70e3, 56.0),
        read(65536, 2, 12e3, 160.0),
        read(4096, 1, 12e3, 80.0),
    ];
    let device =
        Whose { disks: "nvme0n1 (X)".to_owned(), file_system: "ext4".to_owned(), kernel: "6.8".to_owned() };
    Profile { version: VERSION, settings: Use::of(&points, 0), device, points }
}

#[test]
fn a_profile_is_read_as_it_was_written() {
    let profile = sound();
    assert_eq!(Profile::parse(&profile.render()).unwrap(), profile);
}

#[test]
fn what_is_unknown_or_absurd_is_refused_with_a_reason() {
    let text = sound().render();
    let check = |from: &str, to: &str, words: &str| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        let error = Profile::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(words), "{from} -> {to}: {error}");
    };
    check("version = 1", "version = 2", "version 2 is not 1");
    check("version = 1", "version = 1\nfuture = true", "unknown field");
    check(
        "log-writes-in-flight = 4",
        "log-writes-in-flight = 0",
        "use.log-writes-in-flight is 0, and has to be from 1 to 64",
    );
    check("log-writes-in-flight = 4", "log-writes-in-flight = 65", "from 1 to 64");
    check("log-writes-in-flight = 4", "log-writes-in-flight = -1", "");
    check("read-ahead-bytes = 65536", "read-ahead-bytes = 65537", "multiple of 4096");
    check("read-ahead-bytes = 65536", "read-ahead-bytes = 1073741824", "use.read-ahead-bytes");
    check("transfer-bytes = 65536", "transfer-bytes = 0", "use.transfer-bytes");
    check("background-bytes-per-second = ", "background-bytes-per-second = 1 #", "use.background");
    check("spin-us = 0", "spin-us = 1000000", "use.spin-us");
    check("spin-us = 0", "", "missing field");
    check("per-second = 20000.0", "per-second = 0.0", "above 0");
    check("per-second = 20000.0", "per-second = nan", "above 0");
    check("per-second = 20000.0", "per-second = 2000000.0", "do not fit");
    check("us-p99 = 98.0", "us-p99 = 9.0", "no less than its p50");
    check("kind = \"write\"", "kind = \"erase\"", "erase");
    check("size = 4096", "size = 4095", "blocks");
    check("depth = 1\n", "depth = 0\n", "depths 1 to 1024");
    let without = &text[..text.find("[[point]]").unwrap()];
    assert!(Profile::parse(without).unwrap_err().to_string().contains("point"));
    assert!(Profile::parse("").is_err() && Profile::parse("nonsense").is_err());
}

#[test]
fn another_device_is_noticed_and_a_newer_kernel_is_none() {
    let here = sound().device;
    assert_eq!(here.differs(&Whose { kernel: "6.12".to_owned(), ..here.clone() }), None);
    let there = Whose { disks: "sda (Y)".to_owned(), ..here.clone() };
    assert!(here.differs(&there).unwrap().contains("sda (Y)"));
}

//! This host, whatever it is: it can be looked at, measured, and written down.

use std::time::Duration;

use tuning::checks;
use tuning::facts;
use tuning::host::{Host, Recording};
use tuning::measure::{self, DeviceOptions, Options, TransferKind};
use tuning::profile::Profile;
use tuning::show;

#[test]
fn what_was_read_can_be_written_down_and_read_again() {
    let host = Host::live(&std::env::temp_dir());
    let facts = facts::read(&host);
    let text = host.recording().to_string();
    let again = facts::read(&Host::recorded(Recording::parse(&text).unwrap()));
    // Each reads its own /proc/self, so all of it can be the same.
    assert_eq!(format!("{facts:#?}"), format!("{again:#?}"));
}

#[test]
fn it_is_measured_in_bounded_time_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let facts = facts::read(&Host::live(dir.path()));
    let options = Options { each: Duration::from_millis(5), without_device: None };
    let mut told = Vec::new();
    let measured = measure::measure(&facts, &options, &mut |what, part| told.push((what.to_owned(), part)));
    assert!(told.is_sorted_by_key(|(_, part)| *part) && told.last().unwrap().1 == 1.0, "{told:?}");
    let clock = measured.clock.get().unwrap();
    assert!(clock.us_p50 > 0.0 && clock.us_p50 <= clock.us_p99 && clock.us_p99 <= clock.us_max);
    assert!(measured.timer.get().is_some() && measured.gaps.get().is_some());
    let answers = measured.messages.get().is_some();
    assert!(
        answers || !measured.messages.why_not().is_empty(),
        "an echo that is not let run in time is told"
    );
    assert!(!answers || facts.cpus.allowed.len() > 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let findings = checks::judge(&facts, &measured);
    let text = show::findings(&findings);
    assert!(checks::ids().iter().all(|id| text.contains(id)), "{text}");
}

#[test]
fn a_profile_of_this_device_is_one_that_is_believed() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let facts = facts::read(&Host::live(dir.path()));
    let mut options = DeviceOptions::profile(Duration::from_millis(10));
    options.file_bytes = 4 << 20;
    options.points.retain(|(size, depth)| *size <= 64 << 10 && *depth <= 4);
    let device = match measure::device(dir.path(), &options, &mut |_, _| {}) {
        Ok(device) => device,
        // A build machine without io_uring or direct I/O has no profile, and says why.
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(device.at(TransferKind::Write, 4096, 1).unwrap().latency.us_p50 > 0.0);
    let profile = Profile::of(&facts, &device, None);
    assert_eq!(Profile::parse(&profile.render()).unwrap(), profile);
}

#[test]
fn a_directory_that_cannot_be_written_says_so() {
    let missing = std::path::Path::new("/proc/no-such-directory");
    let error = measure::device(missing, &DeviceOptions::check(Duration::from_millis(1)), &mut |_, _| {})
        .unwrap_err();
    assert!(error.to_string().contains("/proc/no-such-directory"), "{error}");
}

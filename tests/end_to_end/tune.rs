//! `torc tune`: this host, one that was written down, one that is only a directory; as an ordinary user in a read-only container; and
//! what `torc serve` makes of a device profile.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::process::refused;
use crate::server::{ANY_PORT, Server, command, create_table, data_directory, s};

/// Nobody, on every system.
const NOBODY: u32 = 65_534;

fn tune(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_torc")).arg("tune").args(arguments).output().unwrap()
}

#[track_caller]
fn text_of(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn json_of(output: &Output) -> Json {
    let text = text_of(output);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn finding<'a>(said: &'a Json, id: &str) -> &'a Json {
    let findings = said["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("no {id} in {said:#}"))
}

fn recorded(name: &str) -> String {
    format!("{}/tuning/tests/hosts/{name}.txt", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn this_host_is_looked_at_and_measured_and_left_as_it_was() {
    let data = data_directory();
    let said = json_of(&tune(&["--quick", "--format", "json", "--data-dir", text(data.path())]));
    assert_eq!(said["version"], 1);
    for figure in ["gaps", "clock", "system_call", "timer"] {
        assert!(
            said["measured"][figure]["measured"].is_object() || figure == "gaps",
            "{:#}",
            said["measured"]
        );
    }
    // It serves here (every other test does), so it also measures here.
    let write = finding(&said, "durable-write");
    assert!(write["cost"]["measured"]["us"].as_f64().unwrap() > 0.0, "{write:#}");
    assert_eq!(finding(&said, "io-uring")["verdict"], "good", "{said:#}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing is left behind");

    // A directory that is to be: measured where it would be made, and not made.
    let missing = data.path().join("to/be");
    let table = text_of(&tune(&["--quick", "--data-dir", text(&missing)]));
    assert!(table.contains("durable-write") && table.contains("costs here"), "{table}");
    assert!(!data.path().join("to").exists());
}

#[test]
fn a_host_that_was_written_down_is_explained_and_not_measured() {
    let data = data_directory();
    let file = data.path().join("host.txt");
    let here = tune(&["record", "--out", text(&file), "--data-dir", text(data.path())]);
    assert!(here.status.success(), "{here:?}");
    let said = json_of(&tune(&["--host", text(&file), "--format", "json"]));
    assert_eq!(said["facts"]["storage"]["dir"], text(&data.path().canonicalize().unwrap()));

    let said = json_of(&tune(&["--host", &recorded("metal"), "--format", "json"]));
    assert_eq!(finding(&said, "governor")["verdict"], "advice");
    assert!(said["measured"]["clock"]["not_measured"].is_string(), "{:#}", said["measured"]);
    let table = text_of(&tune(&["--host", &recorded("container")]));
    assert!(table.contains("PROBLEMS") && table.contains("a container (Docker)"), "{table}");

    std::fs::write(&file, "nonsense").unwrap();
    let wrong = tune(&["--host", text(&file)]);
    assert!(
        !wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("line 1"),
        "{wrong:?}"
    );
    assert!(!tune(&["apply", "--yes", "--host", &recorded("metal")]).status.success());
}

#[test]
fn what_apply_sets_undo_brings_back() {
    let root = data_directory();
    let swappiness = root.path().join("proc/sys/vm/swappiness");
    std::fs::create_dir_all(swappiness.parent().unwrap()).unwrap();
    std::fs::write(&swappiness, "60\n").unwrap();
    std::fs::write(
        root.path().join("proc/meminfo"),
        "MemTotal: 9000000 kB\nSwapTotal: 9 kB\nSwapFree: 9 kB\n",
    )
    .unwrap();
    let undo_file = root.path().join("undo.toml");
    let run = |what: &str, yes: &[&str]| {
        let arguments = [
            what,
            "--root",
            text(root.path()),
            "--data-dir",
            text(root.path()),
            "--undo-file",
            text(&undo_file),
        ];
        tune(&[&arguments, yes].concat())
    };
    let plan = text_of(&run("apply", &[]));
    assert!(plan.contains("echo 1 > /proc/sys/vm/swappiness") && plan.contains("back: echo 60"), "{plan}");
    assert_eq!(std::fs::read_to_string(&swappiness).unwrap(), "60\n", "without --yes nothing is set");

    let others = text_of(&run("apply", &["--yes", "--only", "huge-pages,clock"]));
    assert!(others.contains("nothing had to be set"), "{others}");
    let unknown = run("apply", &["--only", "nonsense"]);
    assert!(
        !unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("no check nonsense"),
        "{unknown:?}"
    );
    let done = text_of(&run("apply", &["--yes", "--only", "swap"]));
    assert!(done.contains("done    echo 1 > /proc/sys/vm/swappiness"), "{done}");
    assert_eq!(std::fs::read_to_string(&swappiness).unwrap(), "1");
    let undo = text_of(&run("undo", &[]));
    assert!(undo.contains("echo 60 > /proc/sys/vm/swappiness"), "{undo}");
    let said = json_of(&run("undo", &["--yes", "--format", "json"]));
    assert_eq!(said["done"][0]["failed"], Json::Null, "{said:#}");
    assert_eq!(std::fs::read_to_string(&swappiness).unwrap(), "60");
    let again = run("undo", &["--yes"]);
    assert!(
        !again.status.success() && String::from_utf8_lossy(&again.stderr).contains("nothing to undo"),
        "{again:?}"
    );
}

/// The binary as an ordinary user; where the tests run as one, as that.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    if std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A directory that everybody may enter, with the binary in it that everybody may run, and an empty one to mount on.
fn open_directory() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::Builder::new().prefix("torc-test-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (program, mount) = (dir.path().join("torc"), dir.path().join("root"));
    std::fs::copy(env!("CARGO_BIN_EXE_torc"), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(&mount).unwrap();
    (dir, program, mount)
}

#[test]
fn an_ordinary_user_in_a_read_only_container_is_told_what_is_true_there() {
    let (dir, program, mount) = open_directory();
    let arguments = ["tune", "--quick", "--format", "json", "--data-dir", text(dir.path())];

    // Not root, in a directory of somebody else's.
    let said = json_of(&as_nobody(&program).args(arguments).current_dir("/").output().unwrap());
    if said["facts"]["place"]["user"] == NOBODY {
        let write = finding(&said, "durable-write");
        assert_eq!(write["verdict"], "unseen", "{write:#}");
        assert!(write["seen"].as_str().unwrap().contains(text(dir.path())), "{write:#}");
    }
    assert!(said["measured"]["clock"]["measured"].is_object(), "{said:#}");

    // The same behind a read-only root in namespaces of its own, as containers have them; some hosts forbid ordinary users to make any.
    let script = "mount --rbind / \"$0\" && mount -o remount,bind,ro \"$0\" && exec chroot \"$0\" \"$@\"";
    let mut container = as_nobody(Path::new("unshare"));
    container.args([
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
        text(&mount),
        text(&program),
    ]);
    let output = container.args(arguments).current_dir("/").output().unwrap();
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("unshare") {
        eprintln!("no namespaces for ordinary users here: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let said = json_of(&output);
    let machine = finding(&said, "machine")["seen"].as_str().unwrap();
    assert!(machine.contains("a container (of an unknown kind (a user namespace))"), "{machine}");
    let file_system = finding(&said, "file-system");
    assert!(file_system["seen"].as_str().unwrap().contains("nothing can be written"), "{file_system:#}");
    assert_eq!(file_system["verdict"], "problem");
    let write = finding(&said, "durable-write");
    assert!(write["seen"].as_str().unwrap().contains("Read-only file system"), "{write:#}");
    assert!(said["measured"]["timer"]["measured"]["us_p50"].as_f64().is_some(), "{said:#}");
    // What would be set there cannot be, and the undo file cannot be kept: said, and an error.
    let mut apply = as_nobody(Path::new("unshare"));
    apply.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, text(&mount), text(&program)]);
    let apply = apply.args(["tune", "apply", "--yes", "--no-measure"]).current_dir("/").output().unwrap();
    let told = String::from_utf8_lossy(&apply.stderr).to_string() + &String::from_utf8_lossy(&apply.stdout);
    assert!(told.contains("Read-only") || told.contains("nothing had to be set"), "{told}");
}

#[tokio::test]
async fn a_profile_is_measured_and_set_and_refused_when_it_makes_no_sense() {
    let data = data_directory();
    let file = data.path().join("device-profile.toml");
    let said = json_of(&tune(&["profile", "--quick", "--format", "json", "--data-dir", text(data.path())]));
    let settings = &said["profile"]["use"];
    let depth = settings["log-writes-in-flight"].as_u64().unwrap();
    assert_eq!(said["file"], text(&file));

    let server = Server::start_in(data.path());
    let banner = server.banner();
    assert!(banner.contains(&format!("profile  {depth} log writes in flight")), "{banner}");
    let beside = tune(&["profile", "--quick", "--data-dir", text(data.path())]);
    let told = String::from_utf8_lossy(&beside.stderr).to_string();
    assert!(!beside.status.success() && told.contains(&format!("process {}", server.pid())), "{told}");
    server.stop();

    // By hand, under another name: every setting is one of the process that starts, and the database works with it.
    let mut text_of_file = std::fs::read_to_string(&file).unwrap();
    let by_hand = data.path().join("by-hand.toml");
    for (name, value) in [
        ("log-writes-in-flight", "1"),
        ("read-ahead-bytes", "4096"),
        ("transfer-bytes", "4096"),
        ("background-bytes-per-second", "8388608"),
        ("spin-us", "300"),
    ] {
        text_of_file = replaced(&text_of_file, name, value);
    }
    std::fs::write(&by_hand, &text_of_file).unwrap();
    let server =
        Server::start_with(data.path(), &["--device-profile", text(&by_hand), ANY_PORT[0], ANY_PORT[1]]);
    let banner = server.banner();
    let words = "profile  1 log writes in flight, reads ahead 4 KiB, transfers of 4 KiB, background up to 8 MiB/s, idle cores look for work for 300 us";
    assert!(banner.contains(words), "{banner}");
    let client = server.client();
    create_table(&client, "tab", None).await;
    for key in 0..50 {
        client.put_item().table_name("tab").item("p", s(format!("k{key}"))).send().await.unwrap();
    }
    server.stop();
    let server =
        Server::start_with(data.path(), &["--device-profile", text(&by_hand), ANY_PORT[0], ANY_PORT[1]]);
    let counted = server.client().scan().table_name("tab").consistent_read(true).send().await.unwrap();
    assert_eq!(counted.count(), 50);
    server.stop();

    let refusal = |arguments: &[&str]| {
        let output = refused(command(data.path(), &[arguments, ANY_PORT].concat()));
        String::from_utf8_lossy(&output.stderr).to_string()
    };
    std::fs::write(&by_hand, replaced(&text_of_file, "log-writes-in-flight", "1000")).unwrap();
    let told = refusal(&["--device-profile", text(&by_hand)]);
    assert!(
        told.contains("by-hand.toml") && told.contains("from 1 to 64") && told.contains("torc tune profile"),
        "{told}"
    );
    let told = refusal(&["--device-profile", "/no/such/profile"]);
    assert!(told.contains("/no/such/profile"), "{told}");
    std::fs::write(&file, "version = 9\n").unwrap();
    assert!(refusal(&[]).contains("device-profile.toml"), "one that is found is not ignored either");
    std::fs::remove_file(&file).unwrap();
    let server = Server::start_in(data.path());
    assert!(!server.banner().contains("profile"), "{}", server.banner());
    server.stop();
}

/// `text` with another value in the line of `name`.
fn replaced(text: &str, name: &str, value: &str) -> String {
    let line = |line: &str| match line.starts_with(&format!("{name} = ")) {
        true => format!("{name} = {value}\n"),
        false => format!("{line}\n"),
    };
    let changed: String = text.lines().map(line).collect();
    assert!(changed.contains(&format!("{name} = {value}\n")), "{text}");
    changed
}

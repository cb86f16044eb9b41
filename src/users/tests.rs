#![expect(clippy::disallowed_methods, reason = "tests look at the file themselves")]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn entry(name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        access_key_id: format!("TORC{name:A>16}"),
        secret_access_key: "s3cret-s3cret-s3cret".to_owned(),
        tables: vec!["*".to_owned()],
        actions: vec!["GetItem".to_owned()],
        created: String::new(),
    }
}

fn add(path: &Path, one: Entry) -> anyhow::Result<()> {
    UsersFile::change(path, |file| {
        file.entries.push(one);
        Ok(())
    })
}

#[test]
fn a_file_is_founded_changed_and_read() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(USERS_FILE);
    add(&path, entry("a")).unwrap();
    add(&path, entry("b")).unwrap();
    let file = UsersFile::read(&path).unwrap();
    let names: Vec<&str> = file.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(file.users().unwrap().len(), 2);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!beside(&path, "new").exists());
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(USERS_FILE);
    add(&path, entry("a")).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(UsersFile::change(&path, |_| -> anyhow::Result<()> { bail!("no") }).is_err());
    assert!(add(&path, entry("a")).is_err(), "a name twice");
    let odd = Entry { actions: vec!["FrobItem".to_owned()], access_key_id: "X".repeat(20), ..entry("c") };
    assert!(format!("{:#}", add(&path, odd).unwrap_err()).contains("FrobItem"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(USERS_FILE);
    add(&path, entry("a")).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o700 | 0o007] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(UsersFile::read(&path).unwrap_err().to_string().contains("chmod 600"), "{mode:o}");
        assert!(add(&path, entry("b")).is_err());
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(UsersFile::read(&path).is_ok());
}

#[test]
fn a_damaged_file_is_told_by_its_line_and_without_its_secrets() {
    let check = |text: &str, part: &str| {
        let why = format!("{:#}", UsersFile::parse(text).unwrap_err());
        assert!(why.contains(part) && !why.contains("s3cret"), "{why}");
    };
    check("version = 2", "version 2");
    check("version = 1\n[[user]]\nname = \"a\"\nsecret-access-key = s3cret\n", "line 4");
    check("version = 1\n[[user]]\nname = \"a\"\nsecret = \"s3cret\"\n", "secret");
    check("", "version");
    assert!(UsersFile::parse("version = 1").unwrap().entries.is_empty());
}

#[test]
fn what_an_entry_leaves_out_is_not_allowed() {
    let text = "version = 1\n[[user]]\nname = \"a\"\naccess-key-id = \"AAAAAAAAAAAAAAAA\"\n\
                secret-access-key = \"0123456789abcdef\"\n";
    let file = UsersFile::parse(text).unwrap();
    assert!(file.entries[0].tables.is_empty() && file.entries[0].actions.is_empty());
    assert!(file.users().is_ok());
    assert!(!format!("{file:?}").contains("0123456789abcdef"));
}

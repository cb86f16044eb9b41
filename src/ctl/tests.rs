#![expect(clippy::disallowed_methods, reason = "tests look at the file themselves")]

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// Runs a command line, with its file of users in `path`.
fn ctl(path: &std::path::Path, line: &str) -> Result<String, String> {
    let words = ["ctl", "user"].into_iter().chain(line.split(' '));
    let cli =
        Cli::try_parse_from(words.chain(["--users", path.to_str().unwrap()])).map_err(|e| e.to_string())?;
    let What::User(user) = cli.args.what else { panic!("these are about users") };
    match user.command {
        UserCommand::Add(args) => add(args),
        UserCommand::List { place } => list(&place),
        UserCommand::Remove { name, place } => remove(&name, &place),
    }
    .map_err(|error| format!("{error:#}"))
}

#[test]
fn users_come_and_go() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("users.toml");
    let added = ctl(&path, "add app --json").unwrap();
    let added: serde_json::Value = serde_json::from_str(&added).unwrap();
    let (key, secret) =
        (added["access_key_id"].as_str().unwrap(), added["secret_access_key"].as_str().unwrap());
    assert!(key.starts_with("TORC") && key.len() == 20 && secret.len() == 40, "{added}");
    assert_eq!((&added["tables"], &added["actions"]), (&json!(["*"]), &json!(["*"])));

    let shown = ctl(&path, "add reader --tables orders-*,music --read-only").unwrap();
    assert!(
        shown.contains("orders-*, music") && shown.contains("Describe*") && shown.contains("secret"),
        "{shown}"
    );
    ctl(&path, "add writer --actions PutItem,UpdateItem").unwrap();

    let listed = ctl(&path, "list --json").unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["users"].as_array().unwrap().len(), 3);
    assert_eq!(listed["users"][2]["actions"], json!(["PutItem", "UpdateItem"]));
    let table = ctl(&path, "list").unwrap();
    assert!(table.contains(key) && !table.contains(secret), "{table}");

    assert!(ctl(&path, "remove nobody").unwrap_err().contains("nobody"));
    assert_eq!(ctl(&path, "remove app").unwrap(), "removed app");
    assert!(!std::fs::read_to_string(&path).unwrap().contains(secret));
    ctl(&path, "remove reader").unwrap();
    assert!(ctl(&path, "remove writer").unwrap().contains("nobody is left"));
    assert!(ctl(&path, "list").is_ok());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("users.toml");
    for (line, part) in [
        ("add a/b", "no name"),
        ("add app --actions FrobItem", "FrobItem"),
        ("add app --actions PutItem --read-only", "cannot be used with"),
        ("add app --tables a:b", "pattern"),
        ("list", "users.toml"),
        ("remove app", "users.toml"),
    ] {
        let why = ctl(&path, line).unwrap_err();
        assert!(why.contains(part), "{line}: {why}");
        assert!(!path.exists(), "{line}");
    }
    ctl(&path, "add app").unwrap();
    assert!(ctl(&path, "add app").unwrap_err().contains("already"));
}

#[test]
fn keys_are_drawn_from_the_whole_alphabet() {
    let long = draw(SECRET_ALPHABET, 10_000).unwrap();
    assert!(SECRET_ALPHABET.iter().all(|byte| long.contains(char::from(*byte))));
    assert_ne!(draw(KEY_ID_ALPHABET, 16).unwrap(), draw(KEY_ID_ALPHABET, 16).unwrap());
}

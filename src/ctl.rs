//! `torc ctl`: what an operator changes beside running processes.
//!
//! `torc ctl user` changes the file of users. A node that serves from the same data directory sees the change within a second or two; nothing
//! is restarted. Everything else is about clusters ([`cluster`]) and talks to their nodes.

mod cluster;
mod show;
mod slow;

pub use cluster::{VNODES_DEFAULT, init};

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use ring::rand::{SecureRandom, SystemRandom};
use router::auth::{policy, time, users::is_name};
use serde_json::json;

use crate::say;
use crate::users::{Entry, USERS_FILE, UsersFile};

/// What an access key id of torc begins with.
const KEY_ID_PREFIX: &str = "TORC";
/// What follows: 16 of these are 80 bits.
const KEY_ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// 40 of these are 240 bits, and none needs quoting in a shell or a URL.
const SECRET_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// The flags of `torc ctl`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum What {
    /// Who may call, with which key, and what they may do
    User(UserArgs),
    /// Found a cluster
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Show requests that took long, and where their time went
    Slow(slow::Args),
    #[command(flatten)]
    Member(cluster::Command),
}

#[derive(clap::Args, Clone, Debug)]
struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum UserCommand {
    /// Make a user and print its key; the secret is shown this once
    Add(AddArgs),
    /// Show the users, without their secrets
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Remove a user: its key is refused from then on
    Remove {
        /// The user's name
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(clap::Args, Clone, Debug)]
struct AddArgs {
    /// The user's name: letters, digits, + = , . @ _ -
    name: String,

    /// Tables that it may use, with * for any characters [default: all]
    #[arg(long, value_name = "PATTERN,...", value_delimiter = ',')]
    tables: Vec<String>,

    /// Actions that it may call, such as PutItem or Describe* [default: all]
    #[arg(long, value_name = "ACTION,...", value_delimiter = ',', conflicts_with = "read_only")]
    actions: Vec<String>,

    /// Only actions that change nothing
    #[arg(long)]
    read_only: bool,

    #[command(flatten)]
    place: Place,
}

/// Which file, and how to answer.
#[derive(clap::Args, Clone, Debug)]
struct Place {
    /// The data directory whose users.toml is meant [default: ./torc-data]
    #[arg(long, alias = "data", value_name = "DIR", conflicts_with = "users")]
    data_dir: Option<PathBuf>,

    /// The file of users itself
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// Answer with one JSON object
    #[arg(long)]
    json: bool,
}

impl Place {
    fn path(&self) -> PathBuf {
        self.users.clone().unwrap_or_else(|| {
            self.data_dir.clone().unwrap_or_else(|| PathBuf::from("torc-data")).join(USERS_FILE)
        })
    }
}

/// Does what is asked.
pub fn run(args: Args) -> anyhow::Result<()> {
    let text = match args.what {
        What::User(UserArgs { command: UserCommand::Add(args) }) => add(args)?,
        What::User(UserArgs { command: UserCommand::List { place } }) => list(&place)?,
        What::User(UserArgs { command: UserCommand::Remove { name, place } }) => remove(&name, &place)?,
        What::Cluster(command) => cluster::run_cluster(command)?,
        What::Slow(args) => slow::run(args)?,
        What::Member(command) => cluster::run(command)?,
    };
    say::line(text);
    Ok(())
}

fn add(args: AddArgs) -> anyhow::Result<String> {
    let entry = new_entry(&args)?;
    let path = args.place.path();
    if let (None, Some(parent)) = (&args.place.users, path.parent()) {
        #[expect(clippy::disallowed_methods, reason = "before any executor is there")]
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    UsersFile::change(&path, |file| {
        if file.entries.iter().any(|other| other.name == entry.name) {
            bail!(
                "there is a user {:?} already\n  what to do: torc ctl user remove {}",
                entry.name,
                entry.name
            );
        }
        file.entries.push(entry.clone());
        Ok(())
    })?;
    if args.place.json {
        return Ok(json!({
            "name": entry.name, "access_key_id": entry.access_key_id, "secret_access_key": entry.secret_access_key,
            "tables": entry.tables, "actions": entry.actions, "file": path,
        })
        .to_string());
    }
    Ok(format!(
        "user               {}\n\
         tables             {}\n\
         actions            {}\n\
         access key id      {}\n\
         secret access key  {}\n\
         \n\
         The secret is shown only now; it is kept in {}.",
        entry.name,
        entry.tables.join(", "),
        entry.actions.join(", "),
        entry.access_key_id,
        entry.secret_access_key,
        path.display()
    ))
}

fn new_entry(args: &AddArgs) -> anyhow::Result<Entry> {
    if !is_name(&args.name) {
        bail!("{:?} is no name: 1 to 64 letters, digits or one of +=,.@_-", args.name);
    }
    let owned = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<String>>();
    let actions = match (args.read_only, args.actions.is_empty()) {
        (true, _) => owned(policy::READ_ONLY),
        (false, true) => owned(&["*"]),
        (false, false) => args.actions.clone(),
    };
    let tables = if args.tables.is_empty() { owned(&["*"]) } else { args.tables.clone() };
    Ok(Entry {
        name: args.name.clone(),
        access_key_id: format!("{KEY_ID_PREFIX}{}", draw(KEY_ID_ALPHABET, 16)?),
        secret_access_key: draw(SECRET_ALPHABET, 40)?,
        tables,
        actions,
        created: time::basic(now()),
    })
}

/// An id that nobody else has.
pub fn random_id() -> anyhow::Result<u128> {
    let mut bytes = [0; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(u128::from_le_bytes(bytes).max(1))
}

/// Random characters, all equally likely: the alphabet's size divides 256.
fn draw<const N: usize>(alphabet: &[u8; N], count: usize) -> anyhow::Result<String> {
    const { assert!(256 % N == 0) };
    let mut bytes = vec![0; count];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % N])).collect())
}

#[expect(clippy::disallowed_methods, reason = "for people, outside of any executor")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn list(place: &Place) -> anyhow::Result<String> {
    let path = place.path();
    let file = UsersFile::read(&path)?;
    if place.json {
        let users: Vec<serde_json::Value> = file.entries.iter().map(shown).collect();
        return Ok(json!({ "file": path, "users": users }).to_string());
    }
    let mut lines =
        vec![format!("{:<20}  {:<20}  {:<16}  TABLES; ACTIONS", "NAME", "ACCESS KEY ID", "CREATED")];
    lines.extend(file.entries.iter().map(|entry| {
        let (tables, actions) = (entry.tables.join(" "), entry.actions.join(" "));
        format!("{:<20}  {:<20}  {:<16}  {tables}; {actions}", entry.name, entry.access_key_id, entry.created)
    }));
    Ok(lines.join("\n"))
}

fn shown(entry: &Entry) -> serde_json::Value {
    json!({
        "name": entry.name, "access_key_id": entry.access_key_id, "tables": entry.tables, "actions": entry.actions,
        "created": entry.created,
    })
}

fn remove(name: &str, place: &Place) -> anyhow::Result<String> {
    let path = place.path();
    if !path.exists() {
        bail!("there is no {}", path.display());
    }
    let left = UsersFile::change(&path, |file| {
        let before = file.entries.len();
        file.entries.retain(|entry| entry.name != name);
        if file.entries.len() == before {
            bail!("there is no user {name:?} in {}", path.display());
        }
        Ok(file.entries.len())
    })?;
    if place.json {
        return Ok(json!({ "removed": name, "left": left, "file": path }).to_string());
    }
    let last = if left == 0 { "; nobody is left: all calls are refused" } else { "" };
    Ok(format!("removed {name}{last}"))
}

#[cfg(test)]
mod tests;

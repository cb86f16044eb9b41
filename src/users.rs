//! The file of users: TOML that `torc ctl user` writes and `torc serve` reads.
//!
//! ```toml
//! version = 1
//!
//! [[user]]
//! name = "app"
//! access-key-id = "TORC2Q4M6X7YAB5CDEFG"
//! secret-access-key = "..."
//! tables = ["orders-*", "music"]      # patterns; without any, no table
//! actions = ["GetItem", "Query"]      # patterns; without any, no action
//! created = "20261122T112000Z"
//! ```
//!
//! 1. Whoever can read the file can act as its users: it is made for its owner alone, and refused when others may read it. A signature is checked
//!    with the secret itself, so it cannot be kept as a hash, as a password could.
//! 2. A change is written beside it, synced, and renamed over it: a reader sees the old file or the new one.
//! 3. Two changes at once are kept apart by a lock beside the file.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use router::auth::policy;
use router::auth::users::{Secret, User, Users};
use serde::{Deserialize, Serialize};

/// Its name in a data directory.
pub const USERS_FILE: &str = "users.toml";

/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What the file begins with.
const HEAD: &str =
    "# Users of torc, written by `torc ctl user`. Whoever can read this file can act as them.\n\n";

/// What is in the file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UsersFile {
    version: u32,
    #[serde(default, rename = "user")]
    pub entries: Vec<Entry>,
}

/// One user, as the file has it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    pub name: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    #[serde(default)]
    pub tables: Vec<String>,
    #[serde(default)]
    pub actions: Vec<String>,
    #[serde(default)]
    pub created: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({}, {})", self.name, self.access_key_id)
    }
}

#[expect(clippy::disallowed_types, reason = "read and written outside of any executor")]
type PlainFile = std::fs::File;

impl UsersFile {
    /// Without users.
    fn empty() -> UsersFile {
        UsersFile { version: 1, entries: Vec::new() }
    }

    /// Reads a file; it must be there, and be its owner's alone.
    pub fn read(path: &Path) -> anyhow::Result<UsersFile> {
        let about = std::fs::metadata(path).with_context(|| format!("users file {}", path.display()))?;
        if about.mode() & 0o077 != 0 {
            bail!(
                "{} can be read by others (mode {:o}), and it holds secrets\n  what to do: chmod 600 {}",
                path.display(),
                about.mode() & 0o777,
                path.display()
            );
        }
        if about.len() > FILE_BYTES_MAX {
            bail!("{} has {} bytes, which is more than {FILE_BYTES_MAX}", path.display(), about.len());
        }
        #[expect(clippy::disallowed_methods, reason = "read outside of any executor")]
        let text = std::fs::read_to_string(path).with_context(|| format!("users file {}", path.display()))?;
        UsersFile::parse(&text).with_context(|| format!("users file {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<UsersFile> {
        // The parser's own message would show the line it stumbled on, and that line may be a secret.
        let file: UsersFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            anyhow::anyhow!("line {line}: {}", error.message())
        })?;
        if file.version != 1 {
            bail!("version {} is not known; this torc knows 1", file.version);
        }
        Ok(file)
    }

    /// The users, checked.
    pub fn users(&self) -> anyhow::Result<Users> {
        for entry in &self.entries {
            if let Some(pattern) = entry.actions.iter().find(|pattern| !policy::is_about_an_action(pattern)) {
                bail!(
                    "user {:?} has {pattern:?} among its actions, and the API has no such action",
                    entry.name
                );
            }
        }
        let users = self.entries.iter().map(|entry| User {
            name: entry.name.clone(),
            access_key_id: entry.access_key_id.clone(),
            secret: Secret::new(entry.secret_access_key.clone()),
            tables: entry.tables.clone(),
            actions: entry.actions.clone(),
        });
        Users::new(users.collect()).map_err(anyhow::Error::msg)
    }

    /// Changes the file, or founds it. What `change` refuses leaves it as it was.
    pub fn change<T>(
        path: &Path,
        change: impl FnOnce(&mut UsersFile) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let _lock = lock(path)?;
        let mut file = if path.exists() { UsersFile::read(path)? } else { UsersFile::empty() };
        let outcome = change(&mut file)?;
        file.users()?;
        file.write(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(outcome)
    }

    #[expect(clippy::disallowed_methods, reason = "written outside of any executor")]
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = format!("{HEAD}{}", toml::to_string(self)?);
        let new = beside(path, "new");
        // What a crash left: it was never renamed, so it never counted.
        let _ = std::fs::remove_file(&new);
        let mut file = PlainFile::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        PlainFile::open(directory_of(path))?.sync_all()?;
        Ok(())
    }
}

/// Keeps other changes away until it is dropped.
fn lock(path: &Path) -> anyhow::Result<PlainFile> {
    let place = beside(path, "lock");
    let opened = PlainFile::options().create(true).truncate(false).write(true).mode(0o600).open(&place);
    let file = opened.with_context(|| format!("cannot open {}", place.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", place.display()))?;
    Ok(file)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;

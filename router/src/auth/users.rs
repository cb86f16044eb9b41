//! Users: who may sign, with which secret, and what they may then do.
//!
//! A user may call what matches one of its patterns of actions, on tables that match one of its patterns of tables; in a pattern `*`
//! stands for any number of characters. A user without patterns may do nothing.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Users of one node.
pub const USERS_MAX: usize = 10_000;

/// Patterns of tables, or of actions, of one user.
pub const PATTERNS_MAX: usize = 256;

/// Bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 128;

/// A secret access key: wiped when it is dropped, shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes it over.
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// For signing.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// For the one file that it is written to, and for whoever it was made for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// In ARNs, and for people.
    pub name: String,
    /// What a request names.
    pub access_key_id: String,
    /// What it is signed with.
    pub secret: Secret,
    /// Patterns of the tables that it may use.
    pub tables: Vec<String>,
    /// Patterns of the actions that it may call, by their names in the API.
    pub actions: Vec<String>,
}

impl User {
    /// Whether a call of `action` on `table` is allowed; no table: on what belongs to none.
    pub fn may(&self, action: &str, table: Option<&str>) -> bool {
        // What is about no table, or about all of them, is for those who may use all.
        let table_allowed = match table {
            Some(table) => self.tables.iter().any(|pattern| matches(pattern, table)),
            None => self.tables.iter().any(|pattern| pattern == "*"),
        };
        table_allowed && self.actions.iter().any(|pattern| matches(pattern, action))
    }
}

/// All users of a node.
#[derive(Debug, Default)]
pub struct Users {
    users: Vec<User>,
    by_access_key: BTreeMap<String, usize>,
}

impl Users {
    /// These users. The error says what is wrong with them, and with whom.
    pub fn new(users: Vec<User>) -> Result<Users, String> {
        if users.len() > USERS_MAX {
            return Err(format!("{} users are more than {USERS_MAX}", users.len()));
        }
        let mut by_access_key = BTreeMap::new();
        let mut names = std::collections::BTreeSet::new();
        for (index, user) in users.iter().enumerate() {
            check(user)?;
            if !names.insert(user.name.as_str()) {
                return Err(format!("user {:?} is there twice", user.name));
            }
            if by_access_key.insert(user.access_key_id.clone(), index).is_some() {
                return Err(format!("user {:?} has the access key id of another", user.name));
            }
        }
        Ok(Users { users, by_access_key })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none: then nobody may do anything.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    pub(crate) fn position(&self, access_key_id: &str) -> Option<usize> {
        self.by_access_key.get(access_key_id).copied()
    }

    pub(crate) fn get(&self, index: usize) -> &User {
        &self.users[index]
    }
}

/// Refuses what no user can be; the message names the user and never the secret.
fn check(user: &User) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("user {:?} {what}", user.name));
    if !is_name(&user.name) {
        return wrong("must have 1 to 64 letters, digits or one of +=,.@_- as its name");
    }
    let is_key_id = (16..=128).contains(&user.access_key_id.len())
        && user.access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_key_id {
        return wrong("must have 16 to 128 letters or digits as its access key id");
    }
    let secret = user.secret.bytes();
    let is_secret =
        (16..=SECRET_BYTES_MAX).contains(&secret.len()) && secret.iter().all(u8::is_ascii_graphic);
    if !is_secret {
        return wrong("must have 16 to 128 printable characters as its secret");
    }
    if user.tables.len().max(user.actions.len()) > PATTERNS_MAX {
        return wrong("has too many patterns");
    }
    let is_pattern = |pattern: &String| {
        (1..=255).contains(&pattern.len())
            && pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-*".contains(&byte))
    };
    match user.tables.iter().chain(&user.actions).find(|pattern| !is_pattern(pattern)) {
        Some(pattern) => wrong(&format!("has {pattern:?}, which is no pattern of tables or actions")),
        None => Ok(()),
    }
}

/// Whether a user may have this name: what IAM allows.
pub fn is_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(legal)
}

/// Whether `pattern` covers all of `text`; `*` is any number of characters. Linear but for the last star.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            // The last star takes one character more.
            (p, t, star) = (at + 1, from + 1, Some((at, from + 1)));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;

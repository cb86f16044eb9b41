//! Files that a running node reads again when they change: users, and the certificate of HTTPS.
//!
//! ```text
//! a thread, once a second, and on SIGHUP: has a file changed? --> read and check it --> one message for each core
//! ```
//!
//! What cannot be read or is wrong changes nothing: the node says so and goes on with what it read before. A file of users that goes away
//! does not open the door: the last users stay.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use router::auth::users::Users;
use runtime::tls::TlsServer;

use crate::config::{Config, Https};
use crate::say;
use crate::users::UsersFile;

/// How often the files are looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Bytes of a file with a certificate or a key.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Messages that may wait for a core; it takes them several times a second.
const CHANGES_MAX: usize = 16;

/// What has changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// These are the users now.
    Users(Arc<Users>),
    /// This is the certificate now.
    Tls(TlsServer),
}

/// What a node starts with, and where it hears of changes.
#[derive(Debug)]
pub struct Files {
    /// The users, if there is a file of them.
    pub users: Option<Arc<Users>>,
    /// The certificate, if HTTPS is served.
    pub tls: Option<TlsServer>,
    /// One for each core.
    pub changes: Vec<flume::Receiver<Change>>,
}

/// Asks for a look at once; what SIGHUP does.
pub type Poke = flume::Sender<()>;

/// A file as it was when it was read: another one differs in one of these.
type Mark = Option<(u64, u64, i64, i64)>;

struct Watcher {
    users: PathBuf,
    https: Option<Https>,
    users_mark: Mark,
    tls_mark: [Mark; 2],
    cores: Vec<flume::Sender<Change>>,
}

/// Reads the files, and starts the thread that reads them again.
pub fn start(config: &Config, core_count: usize) -> anyhow::Result<(Files, Poke)> {
    // Marks first: what changes while it is read is read again.
    let (cores, changes) = (0..core_count).map(|_| flume::bounded(CHANGES_MAX)).unzip();
    let watcher = Watcher {
        users: config.users.clone(),
        https: config.https.clone(),
        users_mark: mark(&config.users),
        tls_mark: tls_mark(config.https.as_ref()),
        cores,
    };
    let users =
        if config.users_named || config.users.exists() { Some(read_users(&config.users)?) } else { None };
    let tls = config.https.as_ref().map(read_tls).transpose()?;
    let (poke, pokes) = flume::bounded(1);
    #[expect(
        clippy::disallowed_methods,
        reason = "files are looked at from a thread that is pinned nowhere"
    )]
    std::thread::spawn(move || watcher.run(&pokes));
    Ok((Files { users, tls, changes }, poke))
}

impl Watcher {
    /// Goes on until the process ends.
    fn run(mut self, pokes: &flume::Receiver<()>) {
        loop {
            match pokes.recv_timeout(LOOK_PERIOD) {
                Ok(()) => self.look(true),
                Err(flume::RecvTimeoutError::Timeout) => self.look(false),
                Err(flume::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads what has changed; what has not, too, if somebody asks for it.
    fn look(&mut self, asked: bool) {
        let users_mark = mark(&self.users);
        if users_mark.is_some() && (asked || users_mark != self.users_mark) {
            self.tell(read_users(&self.users).map(Change::Users));
        }
        self.users_mark = users_mark;
        let tls_mark = tls_mark(self.https.as_ref());
        if let Some(https) = &self.https
            && (asked || tls_mark != self.tls_mark)
        {
            self.tell(read_tls(https).map(Change::Tls));
        }
        self.tls_mark = tls_mark;
    }

    fn tell(&self, change: anyhow::Result<Change>) {
        match change {
            Ok(change) => {
                match &change {
                    Change::Users(users) => say::warn(format_args!("{} users now", users.len())),
                    Change::Tls(_) => say::warn("the certificate was read again"),
                }
                // A core that has ended hears no more.
                self.cores.iter().for_each(|core| drop(core.send(change.clone())));
            }
            Err(error) => say::warn(format_args!("{error:#}\ntorc: going on with what was read before")),
        }
    }
}

fn read_users(path: &Path) -> anyhow::Result<Arc<Users>> {
    let file = UsersFile::read(path)?;
    Ok(Arc::new(file.users().with_context(|| format!("users file {}", path.display()))?))
}

fn read_tls(https: &Https) -> anyhow::Result<TlsServer> {
    let (certificate, key) = (read_pem(&https.certificate)?, read_pem(&https.key)?);
    TlsServer::from_pem(&certificate, &key, &["http/1.1"]).with_context(|| {
        format!("--tls-cert {} and --tls-key {}", https.certificate.display(), https.key.display())
    })
}

#[expect(clippy::disallowed_methods, reason = "read outside of any executor")]
fn read_pem(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(about.len() <= PEM_BYTES_MAX, "{} is too large to be PEM", path.display());
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn tls_mark(https: Option<&Https>) -> [Mark; 2] {
    https.map_or([None; 2], |https| [mark(&https.certificate), mark(&https.key)])
}

fn mark(path: &Path) -> Mark {
    let about = std::fs::metadata(path).ok()?;
    Some((about.ino(), about.len(), about.mtime(), about.mtime_nsec()))
}

//! What `torc serve`, `torc node` and `torc router` are told: flags over a TOML file over defaults that come from the host.
//!
//! Every flag is also a key of the file, under the same name, so that a line of the one can be moved into the other. An
//! unknown key is an error: a misspelt limit that is silently ignored is worse than none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use router::RouterOptions;
use router::auth::users::Users;
use serde::Deserialize;
use serde::de::DeserializeOwned;

mod compression;

pub use self::compression::Compressions;
use crate::users::USERS_FILE;

/// Where an application finds torc when nobody says otherwise: SDKs look for DynamoDB Local there.
const HTTP_DEFAULT: &str = "127.0.0.1:8000";

/// Where HTTPS is served when there is a certificate and nobody says where.
const HTTPS_DEFAULT: &str = "127.0.0.1:8443";

/// The share of usable memory that torc takes when nobody says otherwise: one part in this many.
const MEMORY_SHARE: u64 = 4;

/// Less than this per shard leaves no room for a memtable and a cache.
const MEMORY_BYTES_PER_SHARD_MIN: u64 = 32 << 20;

/// The most shards of one process; a mailbox exists for each pair.
const SHARDS_MAX: usize = 256;

/// The flags of whatever serves DynamoDB's API, and keys of its configuration file.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpArgs {
    /// Address for DynamoDB's API over HTTP; port 0 picks a free one, `none` serves no HTTP [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<Endpoint>,

    /// Address for DynamoDB's API over HTTPS; needs --tls-cert and --tls-key [default with them: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    https: Option<SocketAddr>,

    /// The certificate for HTTPS, with those that lead to its authority, in PEM; read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// The file of users that `torc ctl user` writes; read again when it changes [default: users.toml in the data
    /// directory, if it is there; while there is none, nobody has to prove who they are]
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// Address for /metrics, which Prometheus reads, and /slow; whoever reaches it sees names of tables, and no items [default: none; on the address of
    /// the API they are shown to who asks from this machine, as long as there are no users]
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,

    /// Region in ARNs [default: us-east-1]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Account in ARNs, twelve digits [default: 000000000000]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    /// Serve an address that other machines can reach although there are no users: whoever reaches it may read, change
    /// and delete every table
    #[arg(long)]
    #[serde(default)]
    allow_public: bool,

    /// A TOML file with the same keys as these flags; a flag wins over the file
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
}

/// The flags of whatever keeps data, and keys of its configuration file.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StoreArgs {
    /// Where the data lies; created if it is not there [default: ./torc-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Shards, one pinned thread each [default: the cores this process may use, by affinity and cgroup; for an existing
    /// data directory, the number it was made with]
    #[arg(long, value_name = "COUNT")]
    shards: Option<usize>,

    /// Memory for memtables and caches of all shards together, such as 512MiB or 8GiB [default: a quarter of what this
    /// process may use]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(default, deserialize_with = "deserialize_bytes")]
    memory: Option<u64>,

    /// How SSTables are compressed, from level 0 down: words out of none, lz4, zstd with commas between, the last one for
    /// all further levels [default: none,none,lz4,lz4,lz4,lz4,zstd]
    #[arg(long, value_name = "WORDS")]
    compression: Option<Compressions>,

    /// Free space of the data directory's file system below which writes that grow are refused, such as 2GiB; 0 never
    /// refuses any before the file system does [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(default, deserialize_with = "deserialize_bytes")]
    disk_reserve: Option<u64>,

    /// The device profile that `torc tune profile` wrote [default: device-profile.toml in the data directory, if it is there]
    #[arg(long, value_name = "FILE")]
    device_profile: Option<PathBuf>,
}

/// The flags of `torc serve`, and the keys of its configuration file.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
pub struct ServeArgs {
    #[command(flatten)]
    #[serde(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    #[serde(flatten)]
    http: HttpArgs,

    #[arg(skip)]
    #[serde(flatten)]
    unknown: Unknown,
}

/// Keys of a configuration file that mean nothing.
pub type Unknown = BTreeMap<String, toml::Value>;

impl HttpArgs {
    /// The configuration file that was named.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Those of `self`, else those of `file`.
    pub fn or(self, file: HttpArgs) -> HttpArgs {
        HttpArgs {
            http: self.http.or(file.http),
            https: self.https.or(file.https),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            users: self.users.or(file.users),
            metrics: self.metrics.or(file.metrics),
            region: self.region.or(file.region),
            account: self.account.or(file.account),
            allow_public: self.allow_public || file.allow_public,
            config: self.config,
        }
    }
}

impl StoreArgs {
    /// Those of `self`, else those of `file`.
    pub fn or(self, file: StoreArgs) -> StoreArgs {
        StoreArgs {
            data_dir: self.data_dir.or(file.data_dir),
            shards: self.shards.or(file.shards),
            memory: self.memory.or(file.memory),
            compression: self.compression.or(file.compression),
            disk_reserve: self.disk_reserve.or(file.disk_reserve),
            device_profile: self.device_profile.or(file.device_profile),
        }
    }
}

/// Reads a configuration file, if one is named; every key has to mean something.
pub fn read_file<T>(path: Option<&Path>, unknown: impl Fn(&T) -> &Unknown) -> anyhow::Result<T>
where
    T: Default + DeserializeOwned,
{
    let Some(path) = path else { return Ok(T::default()) };
    let read = || {
        let file: T = toml::from_str(&read_text(path)?)?;
        if let Some(key) = unknown(&file).keys().next() {
            bail!("unknown key `{key}`");
        }
        Ok(file)
    };
    read().with_context(|| format!("configuration file {}", path.display()))
}

/// An address, or none.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub enum Endpoint {
    /// Serve here.
    At(SocketAddr),
    /// Do not.
    None,
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Endpoint, String> {
        if text == "none" {
            return Ok(Endpoint::None);
        }
        let address = text
            .parse()
            .map_err(|_| format!("{text:?} is no address with a port, such as {HTTP_DEFAULT}"))?;
        Ok(Endpoint::At(address))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Endpoint, String> {
        text.parse()
    }
}

/// HTTPS: where, and with which files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    /// Address for DynamoDB's API.
    pub address: SocketAddr,
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
}

/// What `torc serve` does, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the data lies.
    pub data_dir: PathBuf,
    /// Address for DynamoDB's API in plain text.
    pub http: Option<SocketAddr>,
    /// The same inside of TLS.
    pub https: Option<Https>,
    /// The file of users.
    pub users: PathBuf,
    /// Whether that file was named, and so has to be there.
    pub users_named: bool,
    /// Address for metrics.
    pub metrics: Option<SocketAddr>,
    /// Whether an address that others can reach may be served without users.
    pub allow_public: bool,
    /// Shards asked for; `None` leaves it to the data directory, then to the host.
    pub shards: Option<usize>,
    /// Bytes for memtables and caches of all shards together; `None` leaves it to the host.
    pub memory_bytes: Option<u64>,
    /// How SSTables are compressed; `None` leaves it to the engine.
    pub compression: Option<Compressions>,
    /// Bytes of the file system that writes leave free; `None` leaves it to the shard.
    pub disk_reserve_bytes: Option<u64>,
    /// The device profile that was named; `None` leaves it to the data directory.
    pub device_profile: Option<PathBuf>,
    /// Region in ARNs.
    pub region: String,
    /// Account in ARNs.
    pub account: String,
}

impl Config {
    /// What a core's router runs with.
    pub fn router_options(&self, users: Option<Arc<Users>>) -> RouterOptions {
        let (region, account) = (self.region.clone(), self.account.clone());
        RouterOptions { region, account, users, ..RouterOptions::default() }
    }

    /// Joins flags, file and defaults, and refuses what cannot work.
    pub fn load(flags: ServeArgs) -> anyhow::Result<Config> {
        let file = read_file(flags.http.config(), |file: &ServeArgs| &file.unknown)?;
        Config::of(flags.http.or(file.http), Some(flags.store.or(file.store)))
    }

    /// Of what was asked for; what has no `store` keeps no data.
    pub fn of(http: HttpArgs, store: Option<StoreArgs>) -> anyhow::Result<Config> {
        let default_http = Endpoint::At(HTTP_DEFAULT.parse().expect("the default is an address"));
        let keeps_data = store.is_some();
        let store = store.unwrap_or_default();
        let data_dir =
            store.data_dir.unwrap_or_else(|| PathBuf::from(if keeps_data { "torc-data" } else { "" }));
        let address = match http.http.unwrap_or(default_http) {
            Endpoint::At(address) => Some(address),
            Endpoint::None => None,
        };
        let config = Config {
            http: address,
            https: https(http.https, http.tls_cert, http.tls_key)?,
            users_named: http.users.is_some(),
            users: http.users.unwrap_or_else(|| match keeps_data {
                true => data_dir.join(USERS_FILE),
                false => PathBuf::new(),
            }),
            metrics: http.metrics,
            allow_public: http.allow_public,
            data_dir,
            shards: store.shards,
            memory_bytes: store.memory,
            compression: store.compression,
            disk_reserve_bytes: store.disk_reserve,
            device_profile: store.device_profile,
            region: http.region.unwrap_or_else(|| "us-east-1".to_string()),
            account: http.account.unwrap_or_else(|| "000000000000".to_string()),
        };
        config.check()?;
        Ok(config)
    }

    /// Addresses that are served.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.http.into_iter().chain(self.https.as_ref().map(|https| https.address))
    }

    /// The first address that other machines can reach.
    pub fn public_address(&self) -> Option<SocketAddr> {
        self.addresses().find(|address| !address.ip().is_loopback())
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.http.is_none() && self.https.is_none() {
            bail!(
                "--http none leaves nothing to serve\n  what to do: give --tls-cert and --tls-key, or an address to --http"
            );
        }
        let has_users = self.users_named || self.users.exists();
        if let (Some(address), false, false) = (self.public_address(), has_users, self.allow_public) {
            bail!(
                "{address} can be reached from other machines, and there are no users: nobody would have to prove who \
                 they are\n  what to do: make one (torc ctl user add NAME --data-dir {}), or bind 127.0.0.1, or say \
                 --allow-public, which lets whoever reaches that address read, change and delete every table",
                self.data_dir.display()
            );
        }
        if self.shards.is_some_and(|count| count == 0 || count > SHARDS_MAX) {
            bail!("--shards must be from 1 to {SHARDS_MAX}");
        }
        let is_account = self.account.len() == 12 && self.account.bytes().all(|byte| byte.is_ascii_digit());
        if !is_account {
            bail!("--account must be twelve digits, not {:?}", self.account);
        }
        let is_region =
            !self.region.is_empty() && self.region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_region {
            bail!("--region must be letters, digits and dashes, not {:?}", self.region);
        }
        Ok(())
    }

    /// Bytes that each of `shard_count` shards may use for memtable and cache.
    pub fn memory_bytes_per_shard(&self, shard_count: usize) -> anyhow::Result<u64> {
        assert!(shard_count > 0);
        let total = self.memory_bytes.unwrap_or_else(|| tuning::memory::read().usable_bytes() / MEMORY_SHARE);
        let share = total / shard_count as u64;
        if share < MEMORY_BYTES_PER_SHARD_MIN {
            bail!(
                "{} of memory for {shard_count} shards is {} each; a shard needs {} at least\n  \
                 what to do: raise --memory or lower --shards",
                show_bytes(total),
                show_bytes(share),
                show_bytes(MEMORY_BYTES_PER_SHARD_MIN)
            );
        }
        Ok(share)
    }
}

/// HTTPS if there is a certificate; half of what it takes is a mistake.
fn https(
    address: Option<SocketAddr>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> anyhow::Result<Option<Https>> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let default = HTTPS_DEFAULT.parse().expect("the default is an address");
            Ok(Some(Https { address: address.unwrap_or(default), certificate, key }))
        }
        (None, None) if address.is_none() => Ok(None),
        (None, None) => bail!("--https needs a certificate\n  what to do: give --tls-cert and --tls-key"),
        (Some(_), None) => bail!("--tls-cert needs its private key\n  what to do: give --tls-key"),
        (None, Some(_)) => bail!("--tls-key needs its certificate\n  what to do: give --tls-cert"),
    }
}

#[expect(clippy::disallowed_methods, reason = "read once, before any executor runs")]
fn read_text(path: &Path) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(path)?)
}

/// Bytes as people write them: a number, then nothing or one of KiB, MiB, GiB, KB, MB, GB.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        other => return Err(format!("{other:?} is no unit of bytes: use KiB, MiB, GiB, KB, MB, GB")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is no number of bytes, such as 512MiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text} is more than a machine has"))
}

fn deserialize_bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Bytes {
        Number(u64),
        Text(String),
    }
    match Option::<Bytes>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Bytes::Number(bytes)) => Ok(Some(bytes)),
        Some(Bytes::Text(text)) => parse_bytes(&text).map(Some).map_err(serde::de::Error::custom),
    }
}

/// Bytes for people: one decimal, binary units.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64 / 1024.0;
    for unit in UNITS {
        if amount < 1024.0 || unit == "TiB" {
            return format!("{amount:.1} {unit}");
        }
        amount /= 1024.0;
    }
    unreachable!("the last unit returns")
}

#[cfg(test)]
mod tests;

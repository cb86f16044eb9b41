//! How the processes of a cluster know each other: the cluster's secret, or certificates of its own authority, or both.
//!
//! Every process of a cluster (nodes, routers, `torc ctl`) is told the same. Without either, only loopback is served: whoever reaches the port of a
//! node may do everything.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use net::secret::{Secret, Trust};
use net::session::LinkTls;
pub use process::peers::Peers;
use runtime::tls::TlsPeer;
use serde::Deserialize;

/// The name that every node's certificate bears when nobody says otherwise.
const TLS_NAME: &str = "torc";

/// Bytes of a secret or PEM file at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The flags of inter-node traffic, and keys of configuration files.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PeerArgs {
    /// The file with the cluster's secret, the same for all of its processes; `torc ctl cluster secret` draws one
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// This process's certificate for inter-node traffic, signed by the cluster's own authority, in PEM
    #[arg(long, value_name = "FILE")]
    peer_tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE")]
    peer_tls_key: Option<PathBuf>,

    /// The cluster's own authority, which must have signed the other end's certificate, in PEM
    #[arg(long, value_name = "FILE")]
    peer_tls_ca: Option<PathBuf>,

    /// The name that the certificates of all nodes bear [default: torc]
    #[arg(long, value_name = "NAME")]
    peer_tls_name: Option<String>,
}

impl PeerArgs {
    /// Those of `self`, else those of `file`.
    pub fn or(self, file: PeerArgs) -> PeerArgs {
        PeerArgs {
            secret_file: self.secret_file.or(file.secret_file),
            peer_tls_cert: self.peer_tls_cert.or(file.peer_tls_cert),
            peer_tls_key: self.peer_tls_key.or(file.peer_tls_key),
            peer_tls_ca: self.peer_tls_ca.or(file.peer_tls_ca),
            peer_tls_name: self.peer_tls_name.or(file.peer_tls_name),
        }
    }

    /// With this secret.
    pub fn with_secret(secret_file: PathBuf) -> PeerArgs {
        PeerArgs { secret_file: Some(secret_file), ..PeerArgs::default() }
    }

    /// Reads the files.
    pub fn load(&self) -> anyhow::Result<Peers> {
        let trust = match &self.secret_file {
            None => Trust::Everybody,
            Some(path) => {
                let bytes = read(path)?;
                let secret = Secret::new(bytes.trim_ascii());
                Trust::Secret(secret.with_context(|| format!("--secret-file {}", path.display()))?)
            }
        };
        let tls = match (&self.peer_tls_cert, &self.peer_tls_key, &self.peer_tls_ca) {
            (None, None, None) => None,
            (Some(certificate), Some(key), Some(authority)) => {
                let peer = TlsPeer::from_pem(&read(authority)?, &read(certificate)?, &read(key)?);
                let peer = peer.context("--peer-tls-cert, --peer-tls-key and --peer-tls-ca")?;
                let name = self.peer_tls_name.clone().unwrap_or_else(|| TLS_NAME.to_string());
                Some(LinkTls { peer, name })
            }
            _ => bail!(
                "--peer-tls-cert, --peer-tls-key and --peer-tls-ca belong together: give all three, or none"
            ),
        };
        Ok(Peers::new(trust, tls))
    }
}

/// Refuses to be reached by anybody from anywhere.
pub fn check_reach(peers: &Peers, listen: SocketAddr) -> anyhow::Result<()> {
    if listen.ip().is_loopback() || peers.are_proven() {
        return Ok(());
    }
    bail!(
        "{listen} can be reached from other machines, and nothing says who belongs to the cluster: whoever connects may read \
         and change everything\n  what to do: torc ctl cluster secret > cluster.secret, copy it to every machine, and give it \
         as --secret-file"
    );
}

/// The address that others use, given the one that is listened on.
pub fn advertised(listen: SocketAddr, advertise: Option<IpAddr>, flag: &str) -> anyhow::Result<SocketAddr> {
    match advertise {
        Some(ip) => Ok(SocketAddr::new(ip, listen.port())),
        None if listen.ip().is_unspecified() => bail!(
            "{listen} is every address of this machine: which one shall others use?\n  what to do: give {flag} an address, or say --advertise IP"
        ),
        None => Ok(listen),
    }
}

#[expect(clippy::disallowed_methods, reason = "read before any executor runs")]
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(about.len() <= FILE_BYTES_MAX, "{} is too large", path.display());
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

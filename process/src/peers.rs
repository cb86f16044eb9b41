//! Whom the processes of a cluster trust: the cluster's secret, or certificates of its own authority, or both.
//!
//! Every process of a cluster (nodes, routers, `torc ctl`) is told the same. Who reaches a node that asks for neither may do everything.

use net::links::{Rule, members};
use net::map::MapCell;
use net::secret::Trust;
use net::session::{Identity, LinkTls, SessionOptions};

/// Whom this process trusts. Cheap to clone, and may cross threads.
#[derive(Clone, Debug)]
pub struct Peers {
    trust: Trust,
    tls: Option<LinkTls>,
}

impl Peers {
    /// Those who know this secret, if there is one, and have such a certificate, if there is one.
    pub fn new(trust: Trust, tls: Option<LinkTls>) -> Peers {
        Peers { trust, tls }
    }

    /// Whether anything has to be proven at all.
    pub fn are_proven(&self) -> bool {
        self.trust.has_secret() || self.tls.is_some()
    }

    /// The options of a session of `identity`.
    pub fn session(&self, identity: Identity) -> SessionOptions {
        SessionOptions { tls: self.tls.clone(), ..SessionOptions::new(identity, self.trust.clone()) }
    }

    /// Who may say that it is a node, by the map in `cell`.
    pub fn rule(&self, cell: &MapCell) -> Rule {
        members::rule(cell, self.tls.as_ref().map(|tls| tls.name.clone()))
    }

    /// In words for people.
    pub fn describe(&self) -> &'static str {
        match (self.trust.has_secret(), self.tls.is_some()) {
            (true, true) => "the cluster's secret, inside of mutual TLS",
            (true, false) => "the cluster's secret",
            (false, true) => "mutual TLS",
            (false, false) => "OPEN: whoever reaches it is let in",
        }
    }
}

//! Who may say that it is a node of the cluster: by the map, and by its certificate.
//!
//! The secret and the cluster's authority say who belongs to the cluster. They do not say which of its nodes somebody is; and a node's number is what Raft's
//! messages are believed by. So who says a number must be that node:
//!
//! 1. The data directory's id in its hello is the one that the map has for that number: a directory that was emptied, or another node's, is somebody else.
//! 2. Inside of TLS, its certificate bears the node's name in front of the name that all of the cluster bear: `a.torc` for node `a`. Without that,
//!    whoever has any certificate of the cluster could speak for all nodes.
//!
//! A number that the map does not know (yet) is let in without TLS, since the map may be the older one, and nobody believes it anything before a
//! newer one names it; inside of TLS it has to wait for that map, since nobody knows the name that it should bear.
//! A process without a number (a router, `torc ctl`) speaks for nobody: the authority and the secret are enough.

use super::Rule;
use crate::frame::Verdict;
use crate::map::MapCell;
use std::rc::Rc;

/// The rule, by the map of the moment. `tls_name` is the name that all certificates of the cluster bear, where there are any.
pub fn rule(cell: &MapCell, tls_name: Option<String>) -> Rule {
    let cell = cell.clone();
    Rc::new(move |candidate| {
        let Some(place) = candidate.hello.place else { return Verdict::Welcome };
        let map = cell.get();
        let Some(node) = map.nodes.get(&place.node) else {
            return if tls_name.is_some() { Verdict::NotMember } else { Verdict::Welcome };
        };
        if node.id != candidate.hello.node {
            return Verdict::NotMember;
        }
        let certified = tls_name.as_ref().is_none_or(|common| {
            let name = format!("{}.{common}", node.name);
            candidate.bears(&name) == Some(true)
        });
        if certified { Verdict::Welcome } else { Verdict::NotCertified }
    })
}

#[cfg(test)]
mod tests;

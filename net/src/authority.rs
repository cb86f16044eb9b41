//! For tests: an authority of a cluster, and certificates that it signs.

use crate::session::LinkTls;
use runtime::tls::TlsPeer;

pub struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: rcgen::Issuer::new(parameters, key) }
    }

    /// A process's certificate with these names; it trusts `other`, and looks for `torc`.
    pub fn node(&self, names: &[&str], other: &Authority) -> Option<LinkTls> {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parameters = rcgen::CertificateParams::new(names).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        let peer = TlsPeer::from_pem(other.pem.as_bytes(), chain.as_bytes(), key.as_bytes()).unwrap();
        Some(LinkTls { peer, name: "torc".to_owned() })
    }
}

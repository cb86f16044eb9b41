//! Manifests: whole files as they are, and single records with checksums that fit.

/// The first byte says which.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, file)) => lsm::fuzzing::manifest_file(file),
        Some((_, record)) => lsm::fuzzing::manifest_edit(record),
        None => {}
    }
}

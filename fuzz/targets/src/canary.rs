//! A planted bug: fuzzing that does not find this finds nothing.

/// Fails for inputs that begin with four certain bytes: found by following branches, not by chance.
pub fn run(data: &[u8]) {
    let mut matched = 0;
    for (byte, wanted) in data.iter().zip(b"torc") {
        if byte != wanted {
            break;
        }
        matched += 1;
    }
    assert!(matched < 4, "the canary sings");
}

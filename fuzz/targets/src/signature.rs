//! What a request says of itself: a query on the first line, headers on the others.
//!
//! Reading and checking a claim never panics; what it says is taken from its bytes and from nowhere else; a canonical query is its own
//! canonical form; times come back.

use httparse::Header;
use router::auth::canonical::Query;
use router::auth::claim::Claim;
use router::auth::time;
use runtime::Wall;

/// 2015-08-30T12:36:00Z in microseconds: the corpus is of that day.
const NOW: Wall = Wall(1_440_938_160_000_000);

/// Reads the bytes as a query and headers.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let query = Query::read(lines.next().unwrap_or(""));
    let canonical = query.canonical();
    assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?}");
    assert_eq!(Query::read(&canonical).canonical(), canonical, "what is canonical stays as it is");
    let headers: Vec<Header<'_>> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| Header { name, value: value.as_bytes() })
        .collect();
    let Ok(claim) = Claim::read(&query, &headers) else { return };
    assert_eq!(time::parse_basic(&time::basic(claim.time)), Some(claim.time));
    assert!(time::basic(claim.time).as_bytes().starts_with(&claim.day()));
    assert!(claim.has_signature_shape() || claim.signature_bytes() == [0; 32]);
    if claim.check("us-east-1", NOW).is_ok() {
        let seconds = NOW.0 / 1_000_000;
        assert!(claim.time <= seconds + 15 * 60, "signed later than any clock may be");
        assert!(claim.time + 604_800 >= seconds, "signed longer ago than anything is good");
        assert!(claim.presigned || claim.time + 15 * 60 >= seconds);
    }
}

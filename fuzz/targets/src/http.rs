//! Bytes of a connection: however they are cut, the same requests come out, and then the same refusal or none.

use router::http::head::HEADERS_MAX;
use router::http::intake::{Intake, Limits, Step};

const LIMITS: Limits = Limits { head_bytes_max: 16 << 10, body_bytes_max: 20_000 };

/// The bytes at once, one by one, and in pieces of a size that they name themselves.
pub fn run(data: &[u8]) {
    let piece = 1 + usize::from(data.first().copied().unwrap_or(0));
    let whole = talk(data, usize::MAX);
    assert_eq!(whole, talk(data, 1), "one by one");
    assert_eq!(whole, talk(data, piece), "in pieces of {piece}");
}

/// What comes out: one line for each request, and the status of a refusal.
fn talk(data: &[u8], piece: usize) -> Vec<String> {
    let mut intake = Intake::new(LIMITS);
    let (mut rest, mut told) = (data, Vec::new());
    loop {
        match intake.step() {
            Step::More(_) if rest.is_empty() => return told,
            Step::More(size) => {
                let room = intake.room(size);
                let taken = rest.len().min(piece).min(room.len());
                assert!(taken > 0, "there is room for what was asked for");
                room[..taken].copy_from_slice(&rest[..taken]);
                intake.fill(taken);
                rest = &rest[taken..];
                let held_max = 2 * (LIMITS.head_bytes_max + LIMITS.body_bytes_max);
                assert!(intake.buffer_bytes() <= held_max, "{} bytes held", intake.buffer_bytes());
            }
            Step::Head => (),
            Step::Ready => {
                let request = intake.request();
                let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
                let headers = request.headers(&mut room).len();
                let (path, query) = (request.path(), request.query());
                told.push(format!(
                    "{:?} {path:?} {query:?} {headers} {:?} {:?}",
                    request.method(),
                    request.target(),
                    request.body
                ));
                intake.next();
            }
            Step::Reject(reject) => {
                assert!((400..600).contains(&reject.status));
                told.push(reject.status.to_string());
                return told;
            }
        }
    }
}

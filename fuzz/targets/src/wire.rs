//! What comes from other cores and processes: messages that are read in place, and the frames that carry them.

use net::frame::{
    CODE_BYTES, HEADER_BYTES, HELLO_BYTES, Header, Hello, Kind, OPENING_BYTES, PROOF_BYTES, Proof, Verdict,
};
use net::message::{ArchivedReply, read_reply, read_request};
use net::secret::{Role, Secret, Trust};
use net::session::frames_of;

/// The bytes as a request and as a reply: what passes the check can be read to its last field.
pub fn run_message(data: &[u8]) {
    if let Ok(request) = read_request(data) {
        read_through(request);
    }
    if let Ok(reply) = read_reply(data) {
        read_through(reply);
        if let ArchivedReply::Page(page) = reply {
            let bytes: usize = page.items.iter().map(<[u8]>::len).sum();
            assert!(bytes <= data.len(), "items do not overlap");
        }
    }
}

fn read_through(message: &impl std::fmt::Debug) {
    assert!(!format!("{message:?}").is_empty());
}

/// The bytes as a hello, as a proof, as a frame, and as a stream of them.
pub fn run_frame(data: &[u8]) {
    if let Some((bytes, rest)) = data.split_first_chunk::<HELLO_BYTES>() {
        run_hello(bytes);
        run_proof(rest);
    }
    run_proof(data);
    run_header(data);
    run_stream(data);
}

fn run_hello(bytes: &[u8; HELLO_BYTES]) {
    let cluster = u128::from_le_bytes(bytes[16..32].try_into().expect("sixteen bytes"));
    let opening = Hello::check_opening(bytes.first_chunk::<OPENING_BYTES>().expect("it is longer"));
    for cluster in [0, 7, cluster] {
        if let Ok(hello) = Hello::decode(bytes, cluster) {
            assert_eq!(hello.encode(), *bytes, "one hello, one form");
            assert_eq!(opening, Ok(()), "it was looked at first");
            let trust = Trust::Secret(Secret::new(&[7; 32]).expect("it is long enough"));
            let code = trust.code(Role::Connecting, &hello, &hello);
            assert!(trust.accepts(&code, Role::Connecting, &hello, &hello));
            assert!(!trust.accepts(&code, Role::Accepting, &hello, &hello), "it was reflected");
        }
    }
}

fn run_proof(data: &[u8]) {
    let Some((bytes, _)) = data.split_first_chunk::<PROOF_BYTES>() else { return };
    if let Ok(proof) = Proof::decode(bytes) {
        assert_eq!(proof.encode(), *bytes, "one proof, one form");
        assert!(proof.verdict == Verdict::Welcome || proof.code == [0; CODE_BYTES], "a refusal says nothing");
    }
}

fn run_header(data: &[u8]) {
    let Some((bytes, payload)) = data.split_first_chunk::<HEADER_BYTES>() else { return };
    let Ok(header) = Header::decode(bytes) else { return };
    assert_eq!(header.encode(), *bytes, "one header, one form");
    let payload = &payload[..payload.len().min(header.length as usize)];
    if header.check(payload).is_ok() {
        assert_eq!(payload.len(), header.length as usize);
        let Header { kind, call, timeout_us, number, .. } = header;
        let again = match (kind, header.joined) {
            (Kind::Part, _) => Header::for_part(number, payload),
            (kind, true) => Header::for_last_part(kind, call, timeout_us, number, payload),
            (kind, false) => Header::for_payload(kind, call, timeout_us, number, payload),
        };
        assert_eq!(again, header);
    }
}

/// What a session's reader makes of the bytes: the same in one piece and byte by byte, and no more than came.
fn run_stream(data: &[u8]) {
    let whole = frames_of(data, usize::MAX);
    assert_eq!(whole, frames_of(data, 1), "pieces make no difference");
    let bytes: usize = whole.0.iter().map(|message| message.1.len()).sum();
    assert!(bytes <= data.len(), "nothing is made up");
}

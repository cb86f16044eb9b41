//! What comes from other cores and processes: messages that are read in place, and the frames that carry them.

use net::frame::{HEADER_BYTES, HELLO_BYTES, Header, Hello};
use net::message::{ArchivedReply, read_reply, read_request};

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

/// The bytes as a hello, and as a frame.
pub fn run_frame(data: &[u8]) {
    if let Some((bytes, _)) = data.split_first_chunk::<HELLO_BYTES>() {
        let cluster = u128::from_le_bytes(bytes[16..32].try_into().expect("sixteen bytes"));
        for cluster in [0, 7, cluster] {
            if let Ok(hello) = Hello::decode(bytes, cluster) {
                assert_eq!(hello.encode(), *bytes, "one hello, one form");
            }
        }
    }
    let Some((bytes, payload)) = data.split_first_chunk::<HEADER_BYTES>() else { return };
    let Ok(header) = Header::decode(bytes) else { return };
    assert_eq!(header.encode(), *bytes, "one header, one form");
    let payload = &payload[..payload.len().min(header.length as usize)];
    if header.check(payload).is_ok() {
        assert_eq!(payload.len(), header.length as usize);
        let again = Header::for_payload(header.kind, header.call, header.timeout_us, payload);
        assert_eq!(again, header);
    }
}

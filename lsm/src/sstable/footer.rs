//! The footer: the last page of an SSTable, which says whose it is and where its top index lies.

use super::{Handle, MAGIC, Seal, VERSION};

/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: usize = 4096;

/// The last page of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) seal: Seal,
    pub(crate) top: Handle,
    pub(crate) properties: Handle,
    pub(crate) content_checksum: u32,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        out.extend_from_slice(&self.seal.identity.to_le_bytes());
        out.extend_from_slice(&self.seal.file.to_le_bytes());
        for handle in [self.top, self.properties] {
            out.extend_from_slice(&handle.offset.to_le_bytes());
            out.extend_from_slice(&handle.size.to_le_bytes());
            out.extend_from_slice(&handle.checksum.to_le_bytes());
        }
        out.extend_from_slice(&self.content_checksum.to_le_bytes());
        out.resize(FOOTER_BYTES - 4, 0);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(crate) fn decode(page: &[u8]) -> Result<Footer, &'static str> {
        assert_eq!(page.len(), FOOTER_BYTES);
        let u32_at = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"));
        let handle_at = |at| Handle { offset: u64_at(at), size: u32_at(at + 8), checksum: u32_at(at + 12) };
        if &page[..8] != MAGIC {
            return Err("no footer of an SSTable");
        }
        if u32_at(8) != VERSION {
            return Err("an SSTable of a version that this program does not know");
        }
        if crc32c::crc32c(&page[..FOOTER_BYTES - 4]) != u32_at(FOOTER_BYTES - 4) {
            return Err("the footer's checksum does not match its bytes");
        }
        Ok(Footer {
            seal: Seal { identity: u64_at(16), file: u64_at(24) },
            top: handle_at(32),
            properties: handle_at(48),
            content_checksum: u32_at(64),
        })
    }
}

//! The layout that maps, lists and sets share: `width count end[count] entries`.

/// A body, taken apart. Bytes that are no body read as an empty one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    /// Bytes of each number in the table: 1, 2 or 4.
    pub width: usize,
    pub count: usize,
    pub ends: &'a [u8],
    pub entries: &'a [u8],
}

impl<'a> Body<'a> {
    const EMPTY: Body<'static> = Body { width: 1, count: 0, ends: &[], entries: &[] };

    pub fn trusted(bytes: &'a [u8]) -> Body<'a> {
        Body::split(bytes).unwrap_or(Body::EMPTY)
    }

    /// Takes the header apart; None if it does not fit the bytes. The ends are not looked at.
    pub fn split(bytes: &'a [u8]) -> Option<Body<'a>> {
        let (width, rest) = bytes.split_first()?;
        let width = usize::from(*width);
        if !matches!(width, 1 | 2 | 4) || rest.len() < width {
            return None;
        }
        let (count, rest) = rest.split_at(width);
        let count = read_uint(count, width, 0);
        let (ends, entries) = rest.split_at_checked(count.checked_mul(width)?)?;
        Some(Body { width, count, ends, entries })
    }

    /// Where entry `index` ends, counted from the first byte of the entries.
    pub fn end(&self, index: usize) -> usize {
        read_uint(self.ends, self.width, index)
    }

    /// The bytes of one entry; empty if the table is wrong about it.
    pub fn entry(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.count {
            return None;
        }
        let start = if index == 0 { 0 } else { self.end(index - 1) };
        Some(self.entries.get(start..self.end(index)).unwrap_or_default())
    }

    /// The rank of the entry that `order` calls equal, if the entries are sorted that way.
    pub fn search(&self, order: impl Fn(&'a [u8]) -> std::cmp::Ordering) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match order(self.entry(middle).unwrap_or_default()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// The `index`th number of `width` bytes; the caller knows that it is there.
fn read_uint(bytes: &[u8], width: usize, index: usize) -> usize {
    match width {
        1 => usize::from(bytes[index]),
        2 => usize::from(u16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]])),
        _ => {
            let number: [u8; 4] = bytes[4 * index..4 * index + 4].try_into().expect("a slice of four");
            u32::from_le_bytes(number) as usize
        }
    }
}

/// The width that the format wants for so many entries of so many bytes.
pub(super) fn width_for(count: usize, entries_length: usize) -> usize {
    match count.max(entries_length) {
        0..=0xFF => 1,
        0x100..=0xFFFF => 2,
        _ => 4,
    }
}

/// Appends a header; `ends` yields `count` ends, the last of them `entries_length`.
pub(super) fn push_header(
    out: &mut Vec<u8>,
    count: usize,
    entries_length: usize,
    ends: impl Iterator<Item = usize>,
) {
    let width = width_for(count, entries_length);
    assert!(count.max(entries_length) <= u32::MAX as usize, "bodies are far below 4 GiB");
    out.push(width as u8);
    push_uint(out, width, count);
    match width {
        1 => out.extend(ends.map(|end| end as u8)),
        _ => ends.for_each(|end| push_uint(out, width, end)),
    }
}

fn push_uint(out: &mut Vec<u8>, width: usize, value: usize) {
    out.extend_from_slice(&(value as u32).to_le_bytes()[..width]);
}

/// Makes the entries that `out` holds from `start` on into a body: moves them up and writes the header before them.
pub(super) fn insert_header(out: &mut Vec<u8>, start: usize, ends: impl ExactSizeIterator<Item = usize>) {
    let (count, entries_length) = (ends.len(), out.len() - start);
    let width = width_for(count, entries_length);
    assert!(count.max(entries_length) <= u32::MAX as usize, "bodies are far below 4 GiB");
    let header_length = 1 + width * (1 + count);
    out.resize(out.len() + header_length, 0);
    out.copy_within(start..start + entries_length, start + header_length);
    let header = &mut out[start..start + header_length];
    header[0] = width as u8;
    let numbers = std::iter::once(count).chain(ends);
    for (slot, number) in header[1..].chunks_exact_mut(width).zip(numbers) {
        slot.copy_from_slice(&(number as u32).to_le_bytes()[..width]);
    }
}

/// Appends the length of a name in LEB128, shortest form.
pub(super) fn push_name_length(out: &mut Vec<u8>, length: usize) {
    let mut rest = u32::try_from(length).expect("names are far below 4 GiB");
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Takes a map's entry apart into name and value bytes; None if it is none.
pub(super) fn split_entry(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    if let [length @ 0..=0x7F, rest @ ..] = entry {
        return rest.split_at_checked(usize::from(*length));
    }
    let mut length: u64 = 0;
    for (index, byte) in entry.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let is_shortest = *byte != 0;
            return entry[index + 1..]
                .split_at_checked(usize::try_from(length).ok()?)
                .filter(|_| is_shortest);
        }
    }
    None
}

//! JSON out: appends to a byte buffer; what can stand as it is, stands as it is.
//!
//! Only the quote, the backslash and control characters are escaped: everything else is UTF-8 already. A string
//! without them, nearly every string, costs one vectorized look and one copy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::scan::plain_size;

/// Appends `text` as a JSON string with its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    content(out, text.as_bytes());
    out.push(b'"');
}

/// Appends what stands between the quotes of a JSON string; `text` is UTF-8.
pub fn content(out: &mut Vec<u8>, text: &[u8]) {
    let plain = plain_size(text);
    out.extend_from_slice(&text[..plain]);
    if plain < text.len() {
        escaped(out, &text[plain..]);
    }
}

/// Appends `bytes` as a JSON string of base64, standard alphabet, padded.
pub fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len() + 1;
    let size = bytes.len().div_ceil(3) * 4;
    out.push(b'"');
    out.resize(start + size, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).expect("four bytes for every three begun");
    assert_eq!(written, size, "padded base64 has one size");
    out.push(b'"');
}

/// Appends a whole number.
pub fn integer(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `true` or `false`.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// From a special byte on.
#[cold]
fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let [special, after @ ..] = rest {
        escape(out, *special);
        let plain = plain_size(after);
        out.extend_from_slice(&after[..plain]);
        rest = &after[plain..];
    }
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests;

//! JSON objects of answers, member by member.

use crate::json::writer;

/// An object that is being written.
#[derive(Debug)]
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, is_empty: true }
    }

    /// Goes on with an object that is open already and has members or not.
    pub(crate) fn go_on(out: &'o mut Vec<u8>, is_empty: bool) -> Object<'o> {
        Object { out, is_empty }
    }

    /// Writes a member's name; its value is to be appended to what is returned.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        writer::string(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A member that is a string.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        writer::string(self.member(name), value);
    }

    /// A member that is a whole number.
    pub(crate) fn integer(&mut self, name: &str, value: u64) {
        writer::integer(self.member(name), value);
    }

    /// A member that is a boolean.
    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        writer::boolean(self.member(name), value);
    }

    /// A member that is a time: seconds since 1970 with thousandths, as DynamoDB writes them.
    pub(crate) fn time(&mut self, name: &str, microseconds: u64) {
        let out = self.member(name);
        writer::integer(out, microseconds / 1_000_000);
        let thousandths = microseconds / 1000 % 1000;
        if thousandths > 0 {
            out.extend_from_slice(format!(".{thousandths:03}").trim_end_matches('0').as_bytes());
        }
    }

    /// Closes the object.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// Appends an array.
pub(crate) fn array<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element);
    }
    out.push(b']');
}

//! From bytes to programs: the check, and the cursor that reads on where the check has been.

use super::{
    ConditionProgram, DEPTH_MAX, ProjectionProgram, TYPE_NAMES, UpdateProgram, VERSION, kind, tag, wording,
};
use crate::{
    item::{Corrupt, ItemRef, ValueRef},
    limits::NESTING_MAX,
};

impl<'p> ConditionProgram<'p> {
    /// Validates untrusted bytes.
    pub fn check(bytes: &'p [u8]) -> Result<Self, Corrupt> {
        let body = Check::whole(bytes, kind::CONDITION, |check| check.condition(DEPTH_MAX))?;
        Ok(ConditionProgram(body))
    }

    pub(in super::super) fn body(self) -> Cursor<'p> {
        self.0
    }
}

impl<'p> UpdateProgram<'p> {
    /// Validates untrusted bytes.
    pub fn check(bytes: &'p [u8]) -> Result<Self, Corrupt> {
        let body = Check::whole(bytes, kind::UPDATE, |check| {
            if check.u8()? > wording::ATTRIBUTE_UPDATES {
                return Err(check.before("an unknown wording"));
            }
            check.repeat(Check::action)
        })?;
        Ok(UpdateProgram(body))
    }

    pub(in super::super) fn body(self) -> Cursor<'p> {
        self.0
    }
}

impl<'p> ProjectionProgram<'p> {
    /// Validates untrusted bytes.
    pub fn check(bytes: &'p [u8]) -> Result<Self, Corrupt> {
        let body = Check::whole(bytes, kind::PROJECTION, |check| check.repeat(Check::path))?;
        Ok(ProjectionProgram(body))
    }

    pub(in super::super) fn body(self) -> Cursor<'p> {
        self.0
    }
}

/// Walks bytes that may be anything.
struct Check<'p> {
    bytes: &'p [u8],
    offset: usize,
    /// Where the values stand that were seen, ascending.
    values: Vec<usize>,
}

impl<'p> Check<'p> {
    /// Checks head and body; gives the body.
    fn whole(
        bytes: &'p [u8],
        kind: u8,
        body: impl FnOnce(&mut Self) -> Result<(), Corrupt>,
    ) -> Result<Cursor<'p>, Corrupt> {
        let mut check = Check { bytes, offset: 0, values: Vec::new() };
        if check.u8()? != kind {
            return Err(check.before("a program of another kind"));
        }
        if check.u8()? != VERSION {
            return Err(check.before("a program of an unknown version"));
        }
        let start = check.offset;
        body(&mut check)?;
        if check.offset != bytes.len() {
            return Err(check.here("bytes after the program"));
        }
        Ok(Cursor { program: bytes, rest: &bytes[start..] })
    }

    fn condition(&mut self, depth: usize) -> Result<(), Corrupt> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.here("conditions nested too deep"))?;
        match self.u8()? {
            tag::AND | tag::OR => self.sized(|check| check.repeat(|check| check.condition(depth))),
            tag::NOT => self.condition(depth),
            tag::EQUAL..=tag::GREATER_OR_EQUAL | tag::BEGINS_WITH | tag::CONTAINS => {
                (0..2).try_for_each(|_| self.operand(depth))
            }
            tag::BETWEEN => (0..3).try_for_each(|_| self.operand(depth)),
            tag::IN => self.sized(|check| {
                let count = check.u32()?;
                check.operand(depth)?;
                (0..count).try_for_each(|_| check.operand(depth))
            }),
            tag::EXISTS | tag::NOT_EXISTS => self.path(),
            tag::HAS_TYPE => {
                self.path()?;
                let number = usize::from(self.u8()?);
                if number < TYPE_NAMES.len() { Ok(()) } else { Err(self.before("an unknown type")) }
            }
            _ => Err(self.before("an unknown condition")),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<(), Corrupt> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.here("operands nested too deep"))?;
        match self.u8()? {
            tag::PATH => self.path(),
            tag @ (tag::VALUE | tag::VALUE_AGAIN) => self.value(tag),
            tag::SIZE => self.operand(depth),
            _ => Err(self.before("an unknown operand")),
        }
    }

    fn action(&mut self) -> Result<(), Corrupt> {
        let tag = self.u8()?;
        if !(tag::SET..=tag::DELETE).contains(&tag) {
            return Err(self.before("an unknown action"));
        }
        self.path()?;
        match tag {
            tag::SET => self.set_value(DEPTH_MAX),
            tag::REMOVE => Ok(()),
            _ => {
                let tag = self.u8()?;
                self.value(tag)
            }
        }
    }

    fn set_value(&mut self, depth: usize) -> Result<(), Corrupt> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.here("values nested too deep"))?;
        match self.u8()? {
            tag::PATH => self.path(),
            tag @ (tag::VALUE | tag::VALUE_AGAIN) => self.value(tag),
            tag::PLUS | tag::MINUS | tag::LIST_APPEND => (0..2).try_for_each(|_| self.set_value(depth)),
            tag::IF_NOT_EXISTS => {
                self.path()?;
                self.sized(|check| check.set_value(depth))
            }
            _ => Err(self.before("an unknown value")),
        }
    }

    fn path(&mut self) -> Result<(), Corrupt> {
        let count = usize::from(self.u8()?);
        if !(1..=NESTING_MAX).contains(&count) {
            return Err(self.before("a path of a wrong length"));
        }
        (0..count).try_for_each(|index| self.segment(index))
    }

    fn segment(&mut self, index: usize) -> Result<(), Corrupt> {
        match self.u8()? {
            tag::NAME => {
                let length = usize::from(u16::from_le_bytes(self.array()?));
                let start = self.offset;
                let name = self.take(length)?;
                let at = |_| Corrupt { what: "a name that is not UTF-8", offset: start };
                std::str::from_utf8(name).map(drop).map_err(at)
            }
            tag::INDEX if index > 0 => self.u32().map(drop),
            _ => Err(self.before("an unknown segment")),
        }
    }

    fn value(&mut self, tag: u8) -> Result<(), Corrupt> {
        match tag {
            tag::VALUE => self.new_value(),
            tag::VALUE_AGAIN => {
                let place = self.u32()? as usize;
                let known = self.values.binary_search(&place).is_ok();
                if known { Ok(()) } else { Err(self.before("the place of no value")) }
            }
            _ => Err(self.before("an unknown value")),
        }
    }

    fn new_value(&mut self) -> Result<(), Corrupt> {
        self.values.push(self.offset);
        let length = self.u32()? as usize;
        let start = self.offset;
        let bytes = self.take(length)?;
        let inside = |corrupt: Corrupt| Corrupt { offset: start + corrupt.offset, ..corrupt };
        ValueRef::check(bytes).map(drop).map_err(inside)
    }

    fn repeat(&mut self, mut one: impl FnMut(&mut Self) -> Result<(), Corrupt>) -> Result<(), Corrupt> {
        let count = self.u32()?;
        (0..count).try_for_each(|_| one(self))
    }

    fn sized(&mut self, inner: impl FnOnce(&mut Self) -> Result<(), Corrupt>) -> Result<(), Corrupt> {
        let length = self.u32()? as usize;
        let end = self.offset.saturating_add(length);
        inner(self)?;
        if self.offset == end { Ok(()) } else { Err(self.here("a wrong length")) }
    }

    fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        Ok(self.take(N)?.try_into().expect("`take` gives as many as asked"))
    }

    fn take(&mut self, count: usize) -> Result<&'p [u8], Corrupt> {
        let Some(taken) = self.bytes[self.offset..].get(..count) else {
            return Err(Corrupt { what: "the end of a program", offset: self.bytes.len() });
        };
        self.offset += count;
        Ok(taken)
    }

    fn here(&self, what: &'static str) -> Corrupt {
        Corrupt { what, offset: self.offset }
    }

    /// Of the byte that was just read.
    fn before(&self, what: &'static str) -> Corrupt {
        Corrupt { what, offset: self.offset - 1 }
    }
}

/// Reads checked bytes from front to back.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Cursor<'p> {
    /// The whole program, for values that stand elsewhere.
    program: &'p [u8],
    rest: &'p [u8],
}

impl<'p> Cursor<'p> {
    pub(in super::super) fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(in super::super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("four bytes were taken"))
    }

    /// What stands behind its length.
    pub(in super::super) fn sized(&mut self) -> Cursor<'p> {
        let length = self.u32() as usize;
        Cursor { rest: self.take(length), ..*self }
    }

    /// An encoded value, by its tag: here, or where it stood first.
    pub(in super::super) fn value(&mut self, tag: u8) -> &'p [u8] {
        if tag == tag::VALUE {
            return self.sized().rest;
        }
        let place = self.u32() as usize;
        Cursor { rest: &self.program[place..], ..*self }.sized().rest
    }

    pub(in super::super) fn path(&mut self) -> PathRef<'p> {
        let count = self.u8();
        let segments = *self;
        for _ in 0..count {
            self.skip_segment();
        }
        PathRef { count, segments }
    }

    pub(in super::super) fn set_value(&mut self) -> SetValueRef<'p> {
        match self.u8() {
            tag::PATH => SetValueRef::Path(self.path()),
            tag @ (tag::VALUE | tag::VALUE_AGAIN) => SetValueRef::Value(self.value(tag)),
            tag::PLUS => SetValueRef::Plus,
            tag::MINUS => SetValueRef::Minus,
            tag::IF_NOT_EXISTS => SetValueRef::IfNotExists(self.path(), self.sized()),
            tag::LIST_APPEND => SetValueRef::ListAppend,
            other => unreachable!("tag {other} passed the check"),
        }
    }

    fn skip_segment(&mut self) {
        match self.u8() {
            tag::NAME => drop(self.name()),
            _ => drop(self.take(size_of::<u32>())),
        }
    }

    fn segment(&mut self) -> SegmentRef<'p> {
        match self.u8() {
            tag::NAME => {
                let name = std::str::from_utf8(self.name());
                SegmentRef::Name(name.expect("the check has read the name"))
            }
            tag::INDEX => SegmentRef::Index(self.u32()),
            other => unreachable!("tag {other} passed the check"),
        }
    }

    fn name(&mut self) -> &'p [u8] {
        let length = u16::from_le_bytes(self.take(2).try_into().expect("two bytes were taken"));
        self.take(usize::from(length))
    }

    fn take(&mut self, count: usize) -> &'p [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }
}

/// The head of a SET action's value; operands of `Plus`, `Minus` and `ListAppend` follow it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum SetValueRef<'p> {
    Path(PathRef<'p>),
    Value(&'p [u8]),
    Plus,
    Minus,
    /// The path, and the default where it lies.
    IfNotExists(PathRef<'p>, Cursor<'p>),
    ListAppend,
}

/// A path inside a program.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct PathRef<'p> {
    count: u8,
    segments: Cursor<'p>,
}

/// A step of a path inside a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum SegmentRef<'p> {
    Name(&'p str),
    Index(u32),
}

impl<'p> PathRef<'p> {
    pub(in super::super) fn segments(self) -> impl Iterator<Item = SegmentRef<'p>> {
        let mut cursor = self.segments;
        (0..self.count).map(move |_| cursor.segment())
    }

    /// The name of the attribute, if the path is one of the item's attributes and not a part of it.
    pub(in super::super) fn attribute(self) -> Option<&'p str> {
        if self.count == 1 { Some(self.top()) } else { None }
    }

    /// The name of the attribute that the path begins with.
    pub(in super::super) fn top(self) -> &'p str {
        match self.segments().next() {
            Some(SegmentRef::Name(name)) => name,
            _ => unreachable!("a checked path begins with a name"),
        }
    }

    /// The path of the map or list around; none for an attribute.
    pub(in super::super) fn parent(self) -> Option<PathRef<'p>> {
        let count = self.count - 1;
        (count > 0).then_some(PathRef { count, ..self })
    }

    pub(in super::super) fn last(self) -> SegmentRef<'p> {
        self.segments().last().expect("a checked path has segments")
    }

    /// What lies at the path.
    pub(in super::super) fn find<'i>(self, item: Option<ItemRef<'i>>) -> Option<ValueRef<'i>> {
        self.find_encoded(item).map(ValueRef::trusted)
    }

    /// The same, as the bytes lie.
    pub(in super::super) fn find_encoded<'i>(self, item: Option<ItemRef<'i>>) -> Option<&'i [u8]> {
        let mut around = ValueRef::M(item?.as_map());
        let mut found = None;
        for segment in self.segments() {
            let encoded = step(around, segment)?;
            around = ValueRef::trusted(encoded);
            found = Some(encoded);
        }
        found
    }
}

/// From a map or list to what it holds, as the bytes lie.
fn step<'i>(around: ValueRef<'i>, segment: SegmentRef<'_>) -> Option<&'i [u8]> {
    match (around, segment) {
        (ValueRef::M(map), SegmentRef::Name(name)) => map.get_encoded(name),
        (ValueRef::L(list), SegmentRef::Index(index)) => list.get_encoded(index as usize),
        _ => None,
    }
}

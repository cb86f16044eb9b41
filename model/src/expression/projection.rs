//! Projections: the parts of an item that a read returns, as an item again.
//!
//! Parts keep their place: `a.b` and `a.c[4]` of one item come back as `{a: {b: .., c: [..]}}`. Lists close up, in the
//! order of their indexes. What is missing is left out, and so is a map or list of which nothing was found.

use super::program::{PathRef, ProjectionProgram, SegmentRef};
use crate::item::{ItemBuilder, ItemRef, ValueRef};
use std::{borrow::Cow, collections::BTreeMap};

impl ProjectionProgram<'_> {
    /// An item of what lies at the paths.
    pub fn project(self, item: ItemRef<'_>) -> Vec<u8> {
        let mut body = self.body();
        let mut parts = Parts::default();
        for _ in 0..body.u32() {
            parts.copy(item, body.path());
        }
        parts.into_item().unwrap_or_else(|| {
            let mut builder = ItemBuilder::new();
            builder.begin_item();
            builder.finish()
        })
    }
}

/// Parts of an item, by attribute.
#[derive(Debug, Default)]
pub(super) struct Parts<'x>(BTreeMap<&'x str, Part<'x>>);

/// A value, or some of its parts.
#[derive(Debug)]
enum Part<'x> {
    /// Encoded.
    Whole(Cow<'x, [u8]>),
    Map(BTreeMap<&'x str, Part<'x>>),
    List(BTreeMap<u32, Part<'x>>),
}

impl<'x> Parts<'x> {
    /// Adds what lies at the path, if anything.
    pub(super) fn copy(&mut self, item: ItemRef<'x>, path: PathRef<'x>) {
        if let Some(encoded) = path.find_encoded(Some(item)) {
            self.insert(path, Cow::Borrowed(encoded));
        }
    }

    /// Adds an encoded value at a path that neither overlaps nor conflicts with those before it.
    pub(super) fn insert(&mut self, path: PathRef<'x>, encoded: Cow<'x, [u8]>) {
        let segments: Vec<SegmentRef<'x>> = path.segments().skip(1).collect();
        let top = self.0.entry(path.top());
        let mut part = top.or_insert_with(|| Part::empty(segments.first()));
        for (depth, segment) in segments.iter().enumerate() {
            let next = segments.get(depth + 1);
            part = match (part, segment) {
                (Part::Map(map), SegmentRef::Name(name)) => {
                    map.entry(name).or_insert_with(|| Part::empty(next))
                }
                (Part::List(list), SegmentRef::Index(index)) => {
                    list.entry(*index).or_insert_with(|| Part::empty(next))
                }
                // Only in a program that nobody compiled: paths in each other's way. The first one stays.
                _ => return,
            };
        }
        *part = Part::Whole(encoded);
    }

    /// The parts as an item; None if there is none.
    pub(super) fn into_item(self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let mut builder = ItemBuilder::new();
        builder.begin_item();
        write_attributes(&mut builder, &self.0);
        Some(builder.finish())
    }
}

impl Part<'_> {
    /// What `next` can be put into.
    fn empty(next: Option<&SegmentRef<'_>>) -> Self {
        match next {
            None => Part::Whole(Cow::Borrowed(&[])),
            Some(SegmentRef::Name(_)) => Part::Map(BTreeMap::new()),
            Some(SegmentRef::Index(_)) => Part::List(BTreeMap::new()),
        }
    }
}

fn write_attributes(builder: &mut ItemBuilder, attributes: &BTreeMap<&str, Part<'_>>) {
    for (name, part) in attributes {
        builder.name(name);
        write_part(builder, part);
    }
}

fn write_part(builder: &mut ItemBuilder, part: &Part<'_>) {
    const NO_DEEPER: &str = "parts nest no deeper than the item that they come from";
    match part {
        Part::Whole(encoded) => builder.value(ValueRef::trusted(encoded)).expect(NO_DEEPER),
        Part::Map(attributes) => {
            builder.begin_map().expect(NO_DEEPER);
            write_attributes(builder, attributes);
            builder.end_map();
        }
        Part::List(elements) => {
            builder.begin_list().expect(NO_DEEPER);
            elements.values().for_each(|part| write_part(builder, part));
            builder.end_list();
        }
    }
}

#[cfg(test)]
mod tests;

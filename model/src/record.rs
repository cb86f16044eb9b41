//! Records as items: what tables and maps are written and read with.
//!
//! Reading is strict: [`Fields`] counts what was asked for, and [`Fields::end`] refuses a record that holds more.

use crate::{
    item::{Corrupt, ItemBuilder, MapRef, ValueRef},
    number::Number,
};

/// The attributes of one record, taken one by one.
pub(crate) struct Fields<'a> {
    map: MapRef<'a>,
    taken_count: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(map: MapRef<'a>) -> Fields<'a> {
        Fields { map, taken_count: 0 }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<&'a str, Corrupt> {
        match self.take(name)? {
            ValueRef::S(text) => Ok(text),
            _ => Err(wrong_type()),
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<u64, Corrupt> {
        match self.take(name)? {
            ValueRef::N(number) => {
                number.to_number().as_u64().ok_or(Corrupt::new("a number out of range in a record", 0))
            }
            _ => Err(wrong_type()),
        }
    }

    pub(crate) fn number_as<T: TryFrom<u64>>(&mut self, name: &str) -> Result<T, Corrupt> {
        T::try_from(self.number(name)?).map_err(|_| Corrupt::new("a number out of range in a record", 0))
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<bool, Corrupt> {
        match self.take(name)? {
            ValueRef::Bool(value) => Ok(value),
            _ => Err(wrong_type()),
        }
    }

    pub(crate) fn binary(&mut self, name: &str) -> Result<&'a [u8], Corrupt> {
        match self.take(name)? {
            ValueRef::B(bytes) => Ok(bytes),
            _ => Err(wrong_type()),
        }
    }

    pub(crate) fn map(&mut self, name: &str) -> Result<MapRef<'a>, Corrupt> {
        match self.take(name)? {
            ValueRef::M(map) => Ok(map),
            _ => Err(wrong_type()),
        }
    }

    /// One of a few words.
    pub(crate) fn word<T>(
        &mut self,
        name: &str,
        from_name: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Corrupt> {
        from_name(self.text(name)?).ok_or(Corrupt::new("an unknown word in a record", 0))
    }

    /// A list of maps.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        read: impl Fn(MapRef<'a>) -> Result<T, Corrupt>,
    ) -> Result<Vec<T>, Corrupt> {
        self.values(name, |value| match value {
            ValueRef::M(map) => read(map),
            _ => Err(wrong_type()),
        })
    }

    /// A list of anything.
    pub(crate) fn values<T>(
        &mut self,
        name: &str,
        read: impl Fn(ValueRef<'a>) -> Result<T, Corrupt>,
    ) -> Result<Vec<T>, Corrupt> {
        match self.take(name)? {
            ValueRef::L(list) => list.iter().map(read).collect(),
            _ => Err(wrong_type()),
        }
    }

    /// `read`, if the attribute is there.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Fields<'a>, &str) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, Corrupt> {
        self.map.get_encoded(name).is_some().then(|| read(self, name)).transpose()
    }

    /// Nothing else is in the record.
    pub(crate) fn end(self) -> Result<(), Corrupt> {
        if self.taken_count == self.map.len() {
            return Ok(());
        }
        Err(Corrupt::new("an unknown attribute in a record", 0))
    }

    fn take(&mut self, name: &str) -> Result<ValueRef<'a>, Corrupt> {
        self.taken_count += 1;
        self.map.get(name).ok_or(Corrupt::new("an attribute missing in a record", 0))
    }
}

fn wrong_type() -> Corrupt {
    Corrupt::new("an attribute of the wrong type in a record", 0)
}

pub(crate) fn push_text(out: &mut ItemBuilder, name: &str, value: &str) {
    out.name(name);
    out.string(value).expect("an attribute may be empty");
}

pub(crate) fn push_number(out: &mut ItemBuilder, name: &str, value: u64) {
    out.name(name);
    out.number_ref(Number::from(value).as_ref());
}

pub(crate) fn push_bool(out: &mut ItemBuilder, name: &str, value: bool) {
    out.name(name);
    out.bool(value);
}

pub(crate) fn push_map(out: &mut ItemBuilder, name: &str, push: impl FnOnce(&mut ItemBuilder)) {
    out.name(name);
    out.begin_map().expect("records are flat");
    push(out);
    out.end_map();
}

/// A list of maps.
pub(crate) fn push_list<T>(
    out: &mut ItemBuilder,
    name: &str,
    entries: &[T],
    push: impl Fn(&mut ItemBuilder, &T),
) {
    out.name(name);
    out.begin_list().expect("records are flat");
    for entry in entries {
        out.begin_map().expect("records are flat");
        push(out, entry);
        out.end_map();
    }
    out.end_list();
}

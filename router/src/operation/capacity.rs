//! What an operation consumes, to the half unit.
//!
//! A read of up to 4 KiB that is consistent is one unit, an eventual one half a unit; a write of up to 1 KiB is one. What is
//! not there costs as much as the smallest item. Source: DynamoDB Developer Guide, "Read and write operations".

use model::limits::{READ_UNIT_BYTES, WRITE_UNIT_BYTES};

use super::answer::Object;
use crate::json::writer;
use crate::request::Parameters;

/// `ReturnConsumedCapacity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    None,
    Total,
    Indexes,
}

/// Twice the units: the half of one is the smallest that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HalfUnits(pub(crate) u64);

impl std::ops::AddAssign for HalfUnits {
    fn add_assign(&mut self, other: HalfUnits) {
        self.0 += other.0;
    }
}

impl Wanted {
    /// Takes the parameter.
    pub(crate) fn take(parameters: &mut Parameters<'_>) -> Wanted {
        match parameters.text("ReturnConsumedCapacity").as_deref() {
            Some("TOTAL") => Wanted::Total,
            Some("INDEXES") => Wanted::Indexes,
            _ => Wanted::None,
        }
    }

    /// Writes the member `ConsumedCapacity`, if it is wanted.
    pub(crate) fn write(self, answer: &mut Object<'_>, table: &str, units: HalfUnits) {
        if self != Wanted::None {
            self.write_one(answer.member("ConsumedCapacity"), table, units);
        }
    }

    /// Writes one table's consumption.
    pub(crate) fn write_one(self, out: &mut Vec<u8>, table: &str, units: HalfUnits) {
        let mut object = Object::new(out);
        object.text("TableName", table);
        units.write(object.member("CapacityUnits"));
        if self == Wanted::Indexes {
            let mut table = Object::new(object.member("Table"));
            units.write(table.member("CapacityUnits"));
            table.end();
        }
        object.end();
    }
}

impl HalfUnits {
    /// For reading so many bytes.
    pub(crate) fn read(bytes: u64, consistent: bool) -> HalfUnits {
        let units = bytes.div_ceil(READ_UNIT_BYTES as u64).max(1);
        HalfUnits(if consistent { 2 * units } else { units })
    }

    /// For a write that found so many bytes and left so many.
    pub(crate) fn written(old_bytes: u64, new_bytes: u64) -> HalfUnits {
        HalfUnits(2 * old_bytes.max(new_bytes).div_ceil(WRITE_UNIT_BYTES as u64).max(1))
    }

    fn write(self, out: &mut Vec<u8>) {
        writer::integer(out, self.0 / 2);
        out.extend_from_slice(if self.0.is_multiple_of(2) { b".0" } else { b".5" });
    }
}

//! The operations: what a request does once it is admitted and addressed rightly.
//!
//! - [`read`]: one item, several items.
//! - [`write`]: put, delete, update, several of them; from latch to receipt.
//! - [`scan`]: one page of a range, for Scan and Query.
//! - [`measure`]: about how much there is, for DescribeTable.

pub(crate) mod measure;
pub(crate) mod read;
pub(crate) mod scan;
pub(crate) mod write;

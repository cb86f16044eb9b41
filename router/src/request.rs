//! From a body to an operation's parameters, by tables.
//!
//! ```text
//! body --decode(shape)--> Parameters --violations(shape)--> "2 validation errors detected: ..." or nothing
//!          |                  |
//!  SerializationException     +--> take("TableName") ... finish(): what nobody took is refused
//! ```
//!
//! - [`shape`]: what the tables are made of.
//! - [`tables`]: the inputs of the operations, as the API's model has them.
//! - [`decode`]: one pass over the JSON, led by the shape; values of items go straight into their encoding.
//! - [`constraint`]: lengths, ranges, patterns and enums, told together, as DynamoDB tells them.
//!
//! Promises: no parameter that the tables know is ignored: an operation takes it or [`Parameters::finish`] refuses it.
//! Members that the API does not know are passed over, as DynamoDB does.

pub mod constraint;
pub mod decode;
pub mod shape;
pub mod tables;

pub use decode::{Parameters, Value};

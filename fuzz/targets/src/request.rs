//! Bodies of all operations: decoded by the table of their inputs, and held against its constraints.

use model::item::ItemBuilder;
use router::request::shape::Structure;
use router::request::{Parameters, constraint, tables};

/// Messages stay readable, whatever they repeat.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

const SHAPES: &[&Structure] = &[
    &tables::GET_ITEM,
    &tables::PUT_ITEM,
    &tables::UPDATE_ITEM,
    &tables::DELETE_ITEM,
    &tables::QUERY,
    &tables::SCAN,
    &tables::BATCH_GET_ITEM,
    &tables::BATCH_WRITE_ITEM,
    &tables::CREATE_TABLE,
    &tables::UPDATE_TABLE,
    &tables::TAG_RESOURCE,
    &tables::UPDATE_TIME_TO_LIVE,
];

/// The first byte names the operation, the others are its body.
pub fn run(data: &[u8]) {
    let Some((operation, body)) = data.split_first() else { return };
    let shape = SHAPES[usize::from(*operation) % SHAPES.len()];
    let outcome = Parameters::decode(body, shape, &mut ItemBuilder::new())
        .and_then(|parameters| constraint::check(&parameters).map(|()| parameters));
    match outcome {
        Ok(parameters) => assert_eq!(parameters.values().len(), shape.members.len()),
        Err(error) => {
            assert_eq!(error.code.status(), 400);
            assert!(error.message.len() <= MESSAGE_BYTES_MAX, "{} bytes", error.message.len());
        }
    }
}

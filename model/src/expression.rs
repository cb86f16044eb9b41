//! DynamoDB's expression languages: conditions, filters, key conditions, projections, updates, and the older parameters.
//!
//! ```text
//! text --syntax--> nodes --check--> Condition | Update | Projection | KeyCondition --encode--> program
//!                   Placeholders ---^                                                            |
//! router ------------------------------------------------------------------------ message ------+--> shard: eval, apply, project
//! ```
//!
//! 1. `lexer` and `syntax` turn a text into nodes, or into DynamoDB's syntax error; `cache` keeps the nodes of texts that
//!    come again.
//! 2. `check` puts names and values in place of placeholders and refuses, with DynamoDB's words, what has no meaning;
//!    each language's own rules are in `condition`, `actions` and `key_condition`.
//! 3. The tree (`tree`) is encoded as a program: prefix code with lengths, described in docs/WIRE.md, "Expression programs".
//! 4. The shard checks the bytes once (`ConditionProgram::check`, ...) and evaluates them in place against an encoded
//!    item: no tree, no allocation. An update makes trees only of the attributes that it touches.
//!
//! The older parameters (`legacy`: Expected, AttributeUpdates, KeyConditions, filters, AttributesToGet) end in the same trees.
//!
//! Promises: any text and any program bytes are answered with a result or an error, in bounded time and stack, without
//! a panic. Leaves to others: which parameters may stand together in a request (router), and when an item is
//! looked at (shard).

mod lexer;
mod syntax;

mod cache;

mod placeholders;
mod reserved;
mod tree;

mod actions;
mod check;
mod condition;
mod key_condition;
pub mod legacy;

mod eval;
mod program;
mod projection;
mod update;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use actions::parse_update;
pub use cache::{CACHE_BYTES_MAX, CACHED_TEXT_BYTES_MAX, ExpressionCache, ExpressionCacheStats};
pub use check::parse_projection;
pub use condition::parse_condition;
pub use key_condition::{KeyParts, parse_key_condition, parse_key_parts};
pub use placeholders::Placeholders;
pub use program::{ConditionProgram, ProjectionProgram, UpdateProgram};
pub use syntax::{Comparator, Sign};
pub use tree::{
    Action, Condition, KeyCondition, Operand, Path, Projection, Segment, SetValue, SortCondition, Update,
    Wording,
};
pub use update::Updated;

use crate::limits::EXPRESSION_OPERATORS_MAX as OPERATORS_MAX;

/// Which parameter a text came from; DynamoDB's messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpressionKind {
    /// `ConditionExpression`
    Condition,
    /// `FilterExpression`
    Filter,
    /// `KeyConditionExpression`
    KeyCondition,
    /// `ProjectionExpression`
    Projection,
    /// `UpdateExpression`
    Update,
}

impl ExpressionKind {
    /// The parameter's name.
    pub fn name(self) -> &'static str {
        match self {
            ExpressionKind::Condition => "ConditionExpression",
            ExpressionKind::Filter => "FilterExpression",
            ExpressionKind::KeyCondition => "KeyConditionExpression",
            ExpressionKind::Projection => "ProjectionExpression",
            ExpressionKind::Update => "UpdateExpression",
        }
    }
}

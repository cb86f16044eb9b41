//! Checked expressions as trees: what the texts and the older parameters both become, and what programs are made of.
//!
//! Values are encoded value bytes (tag and payload), as in items. A value that an expression names many times is there
//! once, however large.

use super::syntax::{Comparator, Sign};
use std::rc::Rc;

/// A place in an item: an attribute's name, then names and list indexes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Segment>);

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// An attribute of the item or of a map.
    Name(String),
    /// An element of a list, from 0.
    Index(u32),
}

impl Path {
    /// The path of a top-level attribute.
    pub fn attribute(name: &str) -> Path {
        Path(vec![Segment::Name(name.to_string())])
    }

    /// The top-level attribute that the path begins with.
    pub fn top(&self) -> &str {
        match self.0.first() {
            Some(Segment::Name(name)) => name,
            _ => panic!("a path begins with a name"),
        }
    }
}

/// As DynamoDB shows paths in messages: `[a, b, [0]]`.
impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (index, segment) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match segment {
                Segment::Name(name) => f.write_str(name)?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        f.write_str("]")
    }
}

/// What a condition compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The value at a path of the item, if there is one.
    Path(Path),
    /// A value given by the request.
    Value(Rc<[u8]>),
    /// `size(...)`: never of another size.
    Size(Box<Operand>),
}

/// A condition or filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of them; true if there is none.
    And(Vec<Condition>),
    /// One of them; false if there is none.
    Or(Vec<Condition>),
    /// The opposite.
    Not(Box<Condition>),
    /// `left < right` and the like.
    Compare(Comparator, Operand, Operand),
    /// `value BETWEEN lower AND upper`, both included.
    Between(Operand, Operand, Operand),
    /// `value IN (...)`.
    In(Operand, Vec<Operand>),
    /// `attribute_exists(path)`
    Exists(Path),
    /// `attribute_not_exists(path)`
    NotExists(Path),
    /// `attribute_type(path, name)`, the name as in `ValueRef::type_name`.
    HasType(Path, &'static str),
    /// `begins_with(operand, prefix)`
    BeginsWith(Operand, Operand),
    /// `contains(operand, part)`
    Contains(Operand, Operand),
}

/// The value of a SET action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// The old value at a path.
    Path(Path),
    /// A value given by the request.
    Value(Rc<[u8]>),
    /// `left + right` or `left - right`.
    Arithmetic(Sign, Box<[SetValue; 2]>),
    /// `if_not_exists(path, value)`
    IfNotExists(Path, Box<SetValue>),
    /// `list_append(left, right)`
    ListAppend(Box<[SetValue; 2]>),
}

/// One action of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `SET path = value`
    Set(Path, SetValue),
    /// `REMOVE path`
    Remove(Path),
    /// `ADD path value`: a number or a set.
    Add(Path, Rc<[u8]>),
    /// `DELETE path value`: a set.
    Delete(Path, Rc<[u8]>),
}

/// An update: its paths neither overlap nor conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The actions, in the order they were written.
    pub actions: Vec<Action>,
    /// Which parameter it came from.
    pub wording: Wording,
}

/// Whose words an update uses for a value that does not suit the attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wording {
    /// `UpdateExpression`'s.
    #[default]
    Expression,
    /// `AttributeUpdates`'.
    AttributeUpdates,
}

/// The paths that a read returns; they neither overlap nor conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// The paths, in the order they were written.
    pub paths: Vec<Path>,
}

/// Which items a Query wants, of the schema's types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCondition {
    /// The partition key's value.
    pub partition: Vec<u8>,
    /// What the sort key has to fulfil.
    pub sort: Option<SortCondition>,
}

/// A condition on the sort key; values are encoded value bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SortCondition {
    /// `=`
    Equal(Vec<u8>),
    /// `<`
    Less(Vec<u8>),
    /// `<=`
    LessOrEqual(Vec<u8>),
    /// `>`
    Greater(Vec<u8>),
    /// `>=`
    GreaterOrEqual(Vec<u8>),
    /// Both ends included, the lower first.
    Between(Vec<u8>, Vec<u8>),
    /// Strings and binaries only.
    BeginsWith(Vec<u8>),
}

//! What the tables of the API's inputs are made of.

/// What a member may be.
#[derive(Debug)]
pub enum Shape {
    /// A string.
    Text(Text),
    /// A table's name, or its ARN.
    TableName,
    /// A whole number.
    Integer(Integer),
    /// A boolean.
    Boolean,
    /// Named members.
    Structure(&'static Structure),
    /// Elements of one shape.
    List(&'static Shape, Sizes),
    /// Names, and values of one shape.
    Map(Map),
    /// An AttributeValue: encoded as it is read.
    Attribute,
    /// A map of AttributeValues: encoded as one item.
    Item,
}

/// How long a string may be and what it may say.
#[derive(Debug)]
pub struct Text {
    /// In characters; in elements for lists and maps.
    pub sizes: Sizes,
    /// A regular expression: see `constraint` for those that there are.
    pub pattern: Option<&'static str>,
    /// All that it may say, if that is a list; in the order in which messages name it.
    pub words: &'static [&'static str],
}

/// A range of sizes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
}

impl Sizes {
    /// Any.
    pub const ANY: Sizes = Sizes { min: 0, max: usize::MAX };
}

/// How large a number may be.
#[derive(Debug)]
pub struct Integer {
    /// `Integer` or `Long`.
    pub class: &'static str,
    /// At least.
    pub min: Option<i64>,
    /// At most.
    pub max: Option<i64>,
}

/// A map's keys and values.
#[derive(Debug)]
pub struct Map {
    /// What a key may be.
    pub keys: Keys,
    /// What a value is.
    pub value: &'static Shape,
    /// How many entries there may be.
    pub sizes: Sizes,
}

/// What a map's key may be.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// Any string.
    Any,
    /// A string of bounded length.
    Sized(Sizes),
    /// A table's name, or its ARN.
    TableName,
}

/// A structure.
#[derive(Debug)]
pub struct Structure {
    /// Its name in the API.
    pub name: &'static str,
    /// Its members.
    pub members: &'static [Member],
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it is.
    pub shape: &'static Shape,
}

/// A member that must be there.
pub const fn required(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: true, shape }
}

/// A member that may be there.
pub const fn optional(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: false, shape }
}

/// A string of any kind.
pub const fn text() -> Shape {
    Shape::Text(Text { sizes: Sizes::ANY, pattern: None, words: &[] })
}

/// A string of bounded length.
pub const fn text_of(min: usize, max: usize) -> Shape {
    Shape::Text(Text { sizes: Sizes { min, max }, pattern: None, words: &[] })
}

/// A string of bounded length that follows a pattern.
pub const fn text_like(min: usize, max: usize, pattern: &'static str) -> Shape {
    Shape::Text(Text { sizes: Sizes { min, max }, pattern: Some(pattern), words: &[] })
}

/// One of these words.
pub const fn word(words: &'static [&'static str]) -> Shape {
    Shape::Text(Text { sizes: Sizes::ANY, pattern: None, words })
}

/// A list with any number of elements.
pub const fn list(element: &'static Shape) -> Shape {
    Shape::List(element, Sizes::ANY)
}

/// A list with so many elements.
pub const fn list_of(element: &'static Shape, min: usize, max: usize) -> Shape {
    Shape::List(element, Sizes { min, max })
}

/// A map with any number of entries.
pub const fn map(value: &'static Shape) -> Shape {
    Shape::Map(Map { keys: Keys::Any, value, sizes: Sizes::ANY })
}

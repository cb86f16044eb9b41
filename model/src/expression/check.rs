//! From nodes to trees: placeholders are replaced, and what has no meaning is refused with DynamoDB's words.
//!
//! DynamoDB checks an expression in passes over the whole text: a misspelt function is reported before an undefined
//! value, wherever the two stand. Here one walk notes the first `Fault` of each pass, and at the end the first
//! pass's fault is the answer. A walk with a fault goes on with empty stand-ins, which nobody sees.
//!
//! The languages' own rules are beside: `condition`, `actions`, `key_condition`.

use super::{
    ExpressionKind, OPERATORS_MAX, Path, Placeholders, Projection, Segment, cache,
    syntax::{self, Parsed, PathText, SegmentText},
};
use crate::{
    error::ApiError,
    item::ValueRef,
    limits::{EXPRESSION_VALUES_BYTES_MAX, NESTING_MAX},
};
use std::rc::Rc;

/// The largest index of a list element that a path may name.
const INDEX_MAX: u32 = i32::MAX as u32;

/// Parses a `ProjectionExpression`.
pub fn parse_projection(text: &str, placeholders: &mut Placeholders<'_>) -> Result<Projection, ApiError> {
    let kind = ExpressionKind::Projection;
    let parsed = cache::projection(placeholders.cache, text).map_err(|detail| invalid(kind, &detail))?;
    let mut checker = Checker::new(kind, placeholders);
    let paths: Vec<Path> = parsed.tree.iter().map(|path| checker.path(path)).collect();
    checker.disjoint(&paths);
    checker.finish(&parsed, Projection { paths })
}

/// DynamoDB's prefix for everything that is wrong inside one expression.
pub(super) fn invalid(kind: ExpressionKind, detail: &str) -> ApiError {
    ApiError::validation(format!("Invalid {}: {detail}", kind.name()))
}

/// What can be wrong, in the order in which it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Parentheses,
    Function,
    Reserved,
    UndefinedName,
    PathShape,
    UndefinedValue,
    Operators,
    RepeatedSection,
    Misuse,
    OperandCount,
    NotAPath,
    OperandType,
    NotDistinct,
    OperandValue,
    Overlap,
}

const FAULTS: usize = Fault::Overlap as usize + 1;

/// Walks one expression's nodes.
pub(super) struct Checker<'c, 'a> {
    kind: ExpressionKind,
    /// Bytes of names that aliases brought in so far.
    name_bytes: usize,
    placeholders: &'c mut Placeholders<'a>,
    faults: [Option<String>; FAULTS],
}

impl<'c, 'a> Checker<'c, 'a> {
    pub(super) fn new(kind: ExpressionKind, placeholders: &'c mut Placeholders<'a>) -> Self {
        Checker { kind, name_bytes: 0, placeholders, faults: [const { None }; FAULTS] }
    }

    /// The tree, unless something was noted.
    pub(super) fn finish<T, N>(mut self, parsed: &Parsed<N>, tree: T) -> Result<T, ApiError> {
        if parsed.redundant_parentheses {
            self.note(Fault::Parentheses, || syntax::REDUNDANT_PARENTHESES.to_string());
        }
        if parsed.operators > OPERATORS_MAX {
            self.note(Fault::Operators, || syntax::too_many_operators(parsed.operators));
        }
        if let Some(section) = parsed.repeated_section {
            self.note(Fault::RepeatedSection, || {
                format!("The \"{section}\" section can only be used once in an update expression;")
            });
        }
        match self.faults.into_iter().flatten().next() {
            Some(detail) => Err(invalid(self.kind, &detail)),
            None => Ok(tree),
        }
    }

    /// Remembers the first fault of its kind.
    pub(super) fn note(&mut self, fault: Fault, detail: impl FnOnce() -> String) {
        self.faults[fault as usize].get_or_insert_with(detail);
    }

    // Paths.

    pub(super) fn path(&mut self, text: &PathText) -> Path {
        let segments: Vec<Segment> = text.0.iter().map(|segment| self.segment(segment)).collect();
        if segments.len() > NESTING_MAX {
            self.note(Fault::PathShape, || {
                format!("The document path has too many nesting elements; nesting levels: {}", segments.len())
            });
        }
        Path(segments)
    }

    fn segment(&mut self, text: &SegmentText) -> Segment {
        match text {
            SegmentText::Name(name) => {
                if super::reserved::is_reserved(name) {
                    self.note(Fault::Reserved, || {
                        format!("Attribute name is a reserved keyword; reserved keyword: {name}")
                    });
                }
                Segment::Name(name.to_string())
            }
            SegmentText::Alias(alias) => Segment::Name(self.alias(alias)),
            SegmentText::Index(digits) => Segment::Index(self.index(digits)),
        }
    }

    fn alias(&mut self, alias: &str) -> String {
        if let Some(name) = self.placeholders.name(alias) {
            self.name_bytes += name.len();
            if self.name_bytes <= EXPRESSION_VALUES_BYTES_MAX {
                return name.to_string();
            }
            let bytes = self.name_bytes;
            self.note(Fault::PathShape, || {
                let problem = "Expression size has exceeded the maximum allowed size";
                format!("{problem}; expression size: {bytes}")
            });
            return String::new();
        }
        self.note(Fault::UndefinedName, || {
            let problem = "An expression attribute name used in the document path is not defined";
            format!("{problem}; attribute name: {alias}")
        });
        String::new()
    }

    fn index(&mut self, digits: &str) -> u32 {
        let index = digits.parse().ok().filter(|index| *index <= INDEX_MAX);
        if index.is_none() {
            self.note(Fault::PathShape, || {
                format!("List index is not within the allowable range; index: [{digits}]")
            });
        }
        index.unwrap_or(0)
    }

    // Values.

    /// The encoded value; empty if it is not defined.
    pub(super) fn value(&mut self, alias: &str) -> Rc<[u8]> {
        if let Some(value) = self.placeholders.value(alias) {
            return value;
        }
        self.note(Fault::UndefinedValue, || {
            let problem = "An expression attribute value used in expression is not defined";
            format!("{problem}; attribute value: {alias}")
        });
        Rc::new([])
    }

    // Operands.

    pub(super) fn operand_count(&mut self, operator: &str, found: usize, wanted: usize) -> bool {
        if found != wanted {
            self.note(Fault::OperandCount, || {
                let problem = "Incorrect number of operands for operator or function";
                format!("{problem}; operator or function: {operator}, number of operands: {found}")
            });
        }
        found == wanted
    }

    /// `found` is None where only the item will tell.
    pub(super) fn operand_type(&mut self, operator: &str, found: Option<&str>, allowed: &[&str]) {
        if let Some(found) = found.filter(|found| !allowed.contains(found)) {
            self.note(Fault::OperandType, || {
                let problem = "Incorrect operand type for operator or function";
                format!("{problem}; operator or function: {operator}, operand type: {found}")
            });
        }
    }

    pub(super) fn not_a_path(&mut self, operator: &str) {
        self.note(Fault::NotAPath, || {
            format!("Operator or function requires a document path; operator or function: {operator}")
        });
    }

    pub(super) fn unknown_function(&mut self, name: &str) {
        self.note(Fault::Function, || format!("Invalid function name; function: {name}"));
    }

    /// No path may lie inside another, and no two may need their parent to be a map and a list at once.
    ///
    /// Sorted, a path stands right before the paths inside it, and names stand right before indexes: neighbours tell.
    pub(super) fn disjoint(&mut self, paths: &[Path]) {
        let mut order: Vec<usize> = (0..paths.len()).collect();
        order.sort_by_key(|index| (&paths[*index], *index));
        let pairs = order.windows(2).map(|pair| (pair[0].min(pair[1]), pair[0].max(pair[1])));
        let clash = |(one, two): (usize, usize)| clash(&paths[one], &paths[two]).map(|verb| (two, one, verb));
        let Some((two, one, verb)) = pairs.filter_map(clash).min() else {
            return;
        };
        self.note(Fault::Overlap, || {
            let advice = "must remove or rewrite one of these paths";
            let (one, two) = (&paths[one], &paths[two]);
            format!("Two document paths {verb} with each other; {advice}; path one: {one}, path two: {two}")
        });
    }
}

/// How two paths stand in each other's way.
fn clash(one: &Path, two: &Path) -> Option<&'static str> {
    match one.0.iter().zip(&two.0).find(|(one, two)| one != two) {
        None => Some("overlap"),
        Some((Segment::Name(_), Segment::Index(_)) | (Segment::Index(_), Segment::Name(_))) => {
            Some("conflict")
        }
        Some(_) => None,
    }
}

/// The type of an encoded value, `S` and so on; None for the stand-in of an undefined one.
pub(super) fn type_of_value(encoded: &[u8]) -> Option<&'static str> {
    (!encoded.is_empty()).then(|| ValueRef::trusted(encoded).type_name())
}

#[cfg(test)]
mod tests;

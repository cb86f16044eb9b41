//! From text to a syntax tree: recursive descent with a counted depth.
//!
//! ```text
//! logical   = negation { (AND | OR) negation }          AND binds tighter than OR
//! negation  = { NOT } predicate
//! predicate = operand [ comparator operand | BETWEEN operand AND operand | IN ( operand, ... ) ]
//! operand   = path | :value | function ( operand, ... ) | ( operand )
//! update    = { SET path = sum, ... | REMOVE path, ... | ADD path :value, ... | DELETE path :value, ... }
//! sum       = operand [ (+ | -) operand ] | ( sum )
//! path      = name { . name | [ index ] }
//! ```
//!
//! `( x )` may hold a condition or an operand, which one shows only after it, so `logical` parses both and the
//! place that needs a condition asks for one. The parser knows no placeholders, no types and no reserved words; that
//! is `check`'s part, so that a syntax error is always reported first, as DynamoDB does.
//!
//! Promises: uses bounded stack (`DEPTH_MAX` levels of parentheses), whatever the text.

use super::{
    ExpressionKind, OPERATORS_MAX,
    lexer::{Kind, Lexer, Token},
};
use crate::limits::EXPRESSION_BYTES_MAX;

/// Levels of nested parentheses and calls.
///
/// Parentheses that are not redundant hold an operator of their own, so an expression within the limit on operators
/// is never deeper: what is deeper is refused for one reason or the other, with a short stack.
pub(super) const DEPTH_MAX: usize = OPERATORS_MAX + 10;

/// A path as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathText(pub(super) Vec<SegmentText>);

/// A name, an alias or digits. Trees own their words: they outlive the text, in the cache.
pub(super) type Word = Box<str>;

/// A segment of a path as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SegmentText {
    Name(Word),
    Alias(Word),
    /// Digits, of any length.
    Index(Word),
}

/// `=`, `<>`, `<`, `<=`, `>` or `>=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// `+` or `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// A condition or an operand. Parentheses leave no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Path(PathText),
    Value(Word),
    Call(Word, Vec<Node>),
    Arithmetic(Sign, Box<[Node; 2]>),
    Compare(Comparator, Box<[Node; 2]>),
    Between(Box<[Node; 3]>),
    In(Box<Node>, Vec<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

impl Node {
    /// Whether the node can stand where a truth value is wanted. Of a call only its name tells, later.
    fn may_be_condition(&self) -> bool {
        !matches!(self, Node::Path(_) | Node::Value(_) | Node::Arithmetic(..))
    }

    fn may_be_operand(&self) -> bool {
        matches!(self, Node::Path(_) | Node::Value(_) | Node::Call(..))
    }
}

/// One action of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ActionText {
    Set(PathText, Node),
    Remove(PathText),
    Add(PathText, Word),
    Delete(PathText, Word),
}

/// A parsed text, and what was noticed on the way that is not a matter of syntax.
#[derive(Debug)]
pub(super) struct Parsed<T> {
    pub(super) tree: T,
    pub(super) operators: usize,
    pub(super) redundant_parentheses: bool,
    /// The section of an update that was written twice.
    pub(super) repeated_section: Option<&'static str>,
}

pub(super) fn parse_condition(kind: ExpressionKind, text: &str) -> Result<Parsed<Node>, String> {
    parse(kind, text, |parser| {
        let node = parser.logical()?;
        parser.require_condition(&node)?;
        Ok(node)
    })
}

pub(super) fn parse_projection(text: &str) -> Result<Parsed<Vec<PathText>>, String> {
    parse(ExpressionKind::Projection, text, |parser| parser.list(Parser::path))
}

pub(super) fn parse_update(text: &str) -> Result<Parsed<Vec<ActionText>>, String> {
    parse(ExpressionKind::Update, text, |parser| parser.sections())
}

fn parse<'t, T>(
    kind: ExpressionKind,
    text: &'t str,
    tree: impl FnOnce(&mut Parser<'t>) -> Result<T, String>,
) -> Result<Parsed<T>, String> {
    check_size(kind, text)?;
    let mut parser = Parser::new(text);
    let tree = tree(&mut parser)?;
    parser.expect(Kind::End)?;
    Ok(Parsed {
        tree,
        operators: parser.operators,
        redundant_parentheses: parser.redundant_parentheses,
        repeated_section: parser.repeated_section,
    })
}

fn check_size(kind: ExpressionKind, text: &str) -> Result<(), String> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = "Expression size has exceeded the maximum allowed size;";
        // Of an update DynamoDB does not say the size.
        return Err(match kind {
            ExpressionKind::Update => message.to_string(),
            _ => format!("{message} expression size: {}", text.len()),
        });
    }
    if text.trim().is_empty() {
        return Err("The expression can not be empty;".to_string());
    }
    Ok(())
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    previous: Option<Token<'t>>,
    current: Token<'t>,
    depth: usize,
    operators: usize,
    redundant_parentheses: bool,
    repeated_section: Option<&'static str>,
    /// Start and end of the group in parentheses that was closed last.
    last_group: (usize, usize),
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        let mut lexer = Lexer::new(text);
        let current = lexer.next();
        Parser {
            lexer,
            previous: None,
            current,
            depth: 0,
            operators: 0,
            redundant_parentheses: false,
            repeated_section: None,
            last_group: (0, 0),
        }
    }

    // Conditions.

    fn logical(&mut self) -> Result<Node, String> {
        let mut any = Vec::new();
        let mut all = Vec::new();
        loop {
            let node = self.negation()?;
            let operator = self.current.kind;
            if !matches!(operator, Kind::And | Kind::Or) {
                if any.is_empty() && all.is_empty() {
                    return Ok(node);
                }
                self.require_condition(&node)?;
                all.push(node);
                any.push(join(Node::And, all));
                return Ok(join(Node::Or, any));
            }
            self.require_condition(&node)?;
            all.push(node);
            if operator == Kind::Or {
                any.push(join(Node::And, std::mem::take(&mut all)));
            }
            self.operators += 1;
            self.advance();
        }
    }

    /// Pairs of NOT cancel out, so that a long row of them is no deeper than one.
    fn negation(&mut self) -> Result<Node, String> {
        let mut negations = 0;
        while self.current.kind == Kind::Not {
            negations += 1;
            self.operators += 1;
            self.advance();
        }
        let node = self.predicate()?;
        if negations > 0 {
            self.require_condition(&node)?;
        }
        Ok(if negations % 2 == 1 { Node::Not(Box::new(node)) } else { node })
    }

    fn predicate(&mut self) -> Result<Node, String> {
        let left = match self.current.kind {
            Kind::Open => self.group(Self::logical)?,
            _ => self.operand()?,
        };
        if !left.may_be_operand() {
            return Ok(left);
        }
        match self.current.kind {
            Kind::Between => self.between(left),
            Kind::In => self.choices(left),
            kind => match comparator(kind) {
                Some(comparator) => self.comparison(left, comparator),
                None => Ok(left),
            },
        }
    }

    fn comparison(&mut self, left: Node, comparator: Comparator) -> Result<Node, String> {
        self.operators += 1;
        self.advance();
        let right = self.operand()?;
        Ok(Node::Compare(comparator, Box::new([left, right])))
    }

    fn between(&mut self, value: Node) -> Result<Node, String> {
        self.operators += 1;
        self.advance();
        let lower = self.operand()?;
        self.expect(Kind::And)?;
        let upper = self.operand()?;
        Ok(Node::Between(Box::new([value, lower, upper])))
    }

    fn choices(&mut self, value: Node) -> Result<Node, String> {
        self.operators += 1;
        self.advance();
        self.expect(Kind::Open)?;
        let choices = self.list(Self::operand)?;
        self.expect(Kind::Close)?;
        Ok(Node::In(Box::new(value), choices))
    }

    // Operands.

    fn operand(&mut self) -> Result<Node, String> {
        let token = self.current;
        match token.kind {
            Kind::Value => {
                self.advance();
                Ok(Node::Value(token.text.into()))
            }
            Kind::Open => self.group(Self::operand),
            Kind::Name => {
                self.advance();
                if self.current.kind == Kind::Open { self.call(token.text) } else { self.path_after(token) }
            }
            _ => Ok(Node::Path(self.path()?)),
        }
    }

    fn call(&mut self, name: &'t str) -> Result<Node, String> {
        self.operators += 1;
        self.enter()?;
        self.expect(Kind::Open)?;
        let operands = self.list(Self::operand)?;
        self.expect(Kind::Close)?;
        self.depth -= 1;
        Ok(Node::Call(name.into(), operands))
    }

    fn group(&mut self, inner: fn(&mut Self) -> Result<Node, String>) -> Result<Node, String> {
        let open = self.current.start;
        self.enter()?;
        self.expect(Kind::Open)?;
        let inner_open = self.current.start;
        let node = inner(self)?;
        let inner_close = self.previous.map_or(0, |token| token.end());
        self.expect(Kind::Close)?;
        self.redundant_parentheses |= self.last_group == (inner_open, inner_close);
        self.last_group = (open, self.previous.map_or(0, |token| token.end()));
        self.depth -= 1;
        Ok(node)
    }

    fn enter(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        if self.operators > OPERATORS_MAX {
            return Err(too_many_operators(self.operators));
        }
        Err(REDUNDANT_PARENTHESES.to_string())
    }

    // Paths.

    fn path(&mut self) -> Result<PathText, String> {
        let first = self.segment_name()?;
        self.segments_after(first)
    }

    fn path_after(&mut self, name: Token<'t>) -> Result<Node, String> {
        Ok(Node::Path(self.segments_after(SegmentText::Name(name.text.into()))?))
    }

    fn segments_after(&mut self, first: SegmentText) -> Result<PathText, String> {
        let mut segments = vec![first];
        loop {
            match self.current.kind {
                Kind::Dot => {
                    self.advance();
                    segments.push(self.segment_name()?);
                }
                Kind::OpenIndex => {
                    self.advance();
                    let index = self.expect(Kind::Index)?;
                    self.expect(Kind::CloseIndex)?;
                    segments.push(SegmentText::Index(index.text.into()));
                }
                _ => return Ok(PathText(segments)),
            }
        }
    }

    fn segment_name(&mut self) -> Result<SegmentText, String> {
        let token = self.current;
        let segment = match token.kind {
            Kind::Name => SegmentText::Name(token.text.into()),
            Kind::Alias => SegmentText::Alias(token.text.into()),
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        Ok(segment)
    }

    // Updates.

    fn sections(&mut self) -> Result<Vec<ActionText>, String> {
        let mut actions = Vec::new();
        let mut seen = [false; 4];
        loop {
            let (section, name, action): (usize, _, fn(&mut Self) -> _) = match self.current.kind {
                Kind::Set => (0, "SET", Self::set_action),
                Kind::Remove => (1, "REMOVE", Self::remove_action),
                Kind::Add => (2, "ADD", Self::add_action),
                Kind::Delete => (3, "DELETE", Self::delete_action),
                Kind::End if !actions.is_empty() => return Ok(actions),
                _ => return Err(self.syntax_error()),
            };
            if std::mem::replace(&mut seen[section], true) {
                self.repeated_section.get_or_insert(name);
            }
            self.advance();
            actions.append(&mut self.list(action)?);
        }
    }

    fn set_action(&mut self) -> Result<ActionText, String> {
        let path = self.path()?;
        self.expect(Kind::Equal)?;
        Ok(ActionText::Set(path, self.sum()?))
    }

    fn sum(&mut self) -> Result<Node, String> {
        let left = if self.current.kind == Kind::Open { self.group(Self::sum)? } else { self.operand()? };
        let sign = match self.current.kind {
            Kind::Plus => Sign::Plus,
            Kind::Minus => Sign::Minus,
            _ => return Ok(left),
        };
        if matches!(left, Node::Arithmetic(..)) {
            return Err(self.syntax_error());
        }
        self.operators += 1;
        self.advance();
        let right = self.operand()?;
        Ok(Node::Arithmetic(sign, Box::new([left, right])))
    }

    fn remove_action(&mut self) -> Result<ActionText, String> {
        Ok(ActionText::Remove(self.path()?))
    }

    fn add_action(&mut self) -> Result<ActionText, String> {
        Ok(ActionText::Add(self.path()?, self.expect(Kind::Value)?.text.into()))
    }

    fn delete_action(&mut self) -> Result<ActionText, String> {
        Ok(ActionText::Delete(self.path()?, self.expect(Kind::Value)?.text.into()))
    }

    // Helpers.

    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut items = vec![item(self)?];
        while self.current.kind == Kind::Comma {
            self.advance();
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn advance(&mut self) {
        self.previous = Some(self.current);
        self.current = self.lexer.next();
    }

    fn expect(&mut self, kind: Kind) -> Result<Token<'t>, String> {
        let token = self.current;
        if token.kind != kind {
            return Err(self.syntax_error());
        }
        self.advance();
        Ok(token)
    }

    fn require_condition(&self, node: &Node) -> Result<(), String> {
        if node.may_be_condition() { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Names the current token, and shows the text from the token before it to the token after it.
    fn syntax_error(&self) -> String {
        let start = self.previous.unwrap_or(self.current).start;
        let next = self.lexer.clone().next();
        let last = [next, self.current].into_iter().find(|token| token.kind != Kind::End);
        let end = last.or(self.previous).map_or(start, |token| token.end());
        let near = &self.lexer.text()[start..end];
        format!("Syntax error; token: \"{}\", near: \"{near}\"", self.current.shown())
    }
}

pub(super) const REDUNDANT_PARENTHESES: &str = "The expression has redundant parentheses;";

pub(super) fn too_many_operators(count: usize) -> String {
    format!("The expression contains too many operators; operator count: {count}")
}

fn comparator(kind: Kind) -> Option<Comparator> {
    Some(match kind {
        Kind::Equal => Comparator::Equal,
        Kind::NotEqual => Comparator::NotEqual,
        Kind::Less => Comparator::Less,
        Kind::LessOrEqual => Comparator::LessOrEqual,
        Kind::Greater => Comparator::Greater,
        Kind::GreaterOrEqual => Comparator::GreaterOrEqual,
        _ => return None,
    })
}

/// One node stands for itself, several are joined.
fn join(operator: fn(Vec<Node>) -> Node, mut nodes: Vec<Node>) -> Node {
    if nodes.len() == 1 { nodes.remove(0) } else { operator(nodes) }
}

#[cfg(test)]
mod tests;

//! Syntax trees of texts that were parsed before.
//!
//! An application sends few texts and many values: `SET #n = :v` comes a million times, each time with another `:v`. What a
//! text says is kept here, before names and values are put in place of its placeholders: that part differs from request to
//! request and is done for each, with all its checks. So a cached text and a new one cannot give different results.
//!
//! ```text
//! text --young?--> tree            a hit
//!      --old?----> tree, young again
//!      --parse---> tree, young     a miss; a text that is wrong or long is not kept
//!                  young is full: the old ones are forgotten, the young ones are old
//! ```
//!
//! Texts are found by comparing them, not by hashing: whoever chooses the texts cannot make that slow.
//!
//! Promises: at most [`CACHE_BYTES_MAX`], estimated from above; a text that is in use stays, however many others come once.

use super::{
    ExpressionKind,
    syntax::{self, ActionText, Node, Parsed, PathText},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

/// Bytes of all texts and trees of one cache.
pub const CACHE_BYTES_MAX: usize = 4 << 20;

/// Bytes of a text that is kept; who sends longer ones has something else to wait for.
pub const CACHED_TEXT_BYTES_MAX: usize = 1024;

/// What one byte of text becomes at most: two bytes make a path of one name (`a,`), which is a node, a list of one
/// segment and a word, 160 bytes with what the allocator adds.
const TREE_BYTES_PER_TEXT_BYTE: usize = 80;
/// What an entry takes beside its text and tree.
const ENTRY_BYTES: usize = 256;

/// The texts of one core. Its users share it by reference; nothing is borrowed while others run.
#[derive(Debug, Default)]
pub struct ExpressionCache {
    conditions: Shelf<Node>,
    projections: Shelf<Vec<PathText>>,
    updates: Shelf<Vec<ActionText>>,
    hits: Cell<u64>,
    misses: Cell<u64>,
}

/// A cache's figures at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpressionCacheStats {
    /// Texts that were found.
    pub hits: u64,
    /// Texts that had to be parsed, good and bad.
    pub misses: u64,
    /// Texts that are kept.
    pub texts: usize,
    /// Bytes of them and of their trees, estimated from above.
    pub bytes: usize,
}

impl ExpressionCache {
    /// An empty one.
    pub fn new() -> ExpressionCache {
        ExpressionCache::default()
    }

    /// Figures of this moment.
    pub fn stats(&self) -> ExpressionCacheStats {
        let shelves = [self.conditions.size(), self.projections.size(), self.updates.size()];
        ExpressionCacheStats {
            hits: self.hits.get(),
            misses: self.misses.get(),
            texts: shelves.iter().map(|(texts, _)| texts).sum(),
            bytes: shelves.iter().map(|(_, bytes)| bytes).sum(),
        }
    }

    fn find<T>(
        &self,
        shelf: &Shelf<T>,
        text: &str,
        parse: impl FnOnce() -> Result<Parsed<T>, String>,
    ) -> Result<Rc<Parsed<T>>, String> {
        if let Some(found) = shelf.get(text) {
            self.hits.set(self.hits.get() + 1);
            return Ok(found);
        }
        self.misses.set(self.misses.get() + 1);
        let parsed = Rc::new(parse()?);
        shelf.put(text, &parsed);
        Ok(parsed)
    }
}

pub(super) fn condition(
    cache: Option<&ExpressionCache>,
    kind: ExpressionKind,
    text: &str,
) -> Result<Rc<Parsed<Node>>, String> {
    let parse = || syntax::parse_condition(kind, text);
    cache.map_or_else(|| parse().map(Rc::new), |cache| cache.find(&cache.conditions, text, parse))
}

pub(super) fn projection(
    cache: Option<&ExpressionCache>,
    text: &str,
) -> Result<Rc<Parsed<Vec<PathText>>>, String> {
    let parse = || syntax::parse_projection(text);
    cache.map_or_else(|| parse().map(Rc::new), |cache| cache.find(&cache.projections, text, parse))
}

pub(super) fn update(
    cache: Option<&ExpressionCache>,
    text: &str,
) -> Result<Rc<Parsed<Vec<ActionText>>>, String> {
    let parse = || syntax::parse_update(text);
    cache.map_or_else(|| parse().map(Rc::new), |cache| cache.find(&cache.updates, text, parse))
}

/// Texts of one grammar, in two generations.
#[derive(Debug)]
struct Shelf<T> {
    generations: RefCell<Generations<T>>,
}

#[derive(Debug)]
struct Generations<T> {
    young: Generation<T>,
    old: Generation<T>,
}

#[derive(Debug)]
struct Generation<T> {
    trees: BTreeMap<Box<str>, Rc<Parsed<T>>>,
    bytes: usize,
}

/// Three shelves with two generations each.
const GENERATION_BYTES_MAX: usize = CACHE_BYTES_MAX / 6;

impl<T> Default for Generation<T> {
    fn default() -> Generation<T> {
        Generation { trees: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        let (young, old) = (Generation::default(), Generation::default());
        Shelf { generations: RefCell::new(Generations { young, old }) }
    }
}

impl<T> Shelf<T> {
    fn get(&self, text: &str) -> Option<Rc<Parsed<T>>> {
        let mut generations = self.generations.borrow_mut();
        if let Some(tree) = generations.young.trees.get(text) {
            return Some(tree.clone());
        }
        let (text, tree) = generations.old.trees.remove_entry(text)?;
        generations.old.bytes -= bytes_of(&text);
        generations.put(text, tree.clone());
        Some(tree)
    }

    fn put(&self, text: &str, tree: &Rc<Parsed<T>>) {
        if text.len() <= CACHED_TEXT_BYTES_MAX {
            self.generations.borrow_mut().put(text.into(), tree.clone());
        }
    }

    fn size(&self) -> (usize, usize) {
        let generations = self.generations.borrow();
        let Generations { young, old } = &*generations;
        (young.trees.len() + old.trees.len(), young.bytes + old.bytes)
    }
}

impl<T> Generations<T> {
    fn put(&mut self, text: Box<str>, tree: Rc<Parsed<T>>) {
        let bytes = bytes_of(&text);
        if self.young.bytes + bytes > GENERATION_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += bytes;
        let before = self.young.trees.insert(text, tree);
        assert!(before.is_none(), "a text is parsed only when it is not kept");
    }
}

fn bytes_of(text: &str) -> usize {
    ENTRY_BYTES + text.len() * (1 + TREE_BYTES_PER_TEXT_BYTE)
}

const _: () = assert!(
    ENTRY_BYTES + CACHED_TEXT_BYTES_MAX * (1 + TREE_BYTES_PER_TEXT_BYTE) < GENERATION_BYTES_MAX / 4,
    "a generation holds several of the longest texts"
);

#[cfg(test)]
mod tests;

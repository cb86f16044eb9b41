//! Rare branches of torc that some seed has to take: each says so by `Runtime::mark`, and a summary says which of them nobody took.

/// All marks in the sources; a test compares.
pub const ALL: &[&str] = &[];

#[cfg(test)]
mod tests;

//! Rare branches of torc that some seed has to take: each says so by `Runtime::mark`, and a summary says which of them nobody took.

/// All marks in the sources; a test compares.
pub const ALL: &[&str] = &[
    "image given up",
    "image installed",
    "outcome of a write unknown",
    "read waits for a majority",
    "redirected",
    "redirected by a newer map",
    "replica called off before it was made",
    "replica given up",
    "replica refused: its data is gone",
    "the map says that a change is over",
    "the other end has connected meanwhile",
];

#[cfg(test)]
mod tests;

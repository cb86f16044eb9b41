//! Condition, update, projection and key condition expressions.

//! What the operations answer, by scripts.

use crate::script::play;

#[test]
fn tables() {
    play(include_str!("scripts/tables.script"));
}

#[test]
fn settings() {
    play(include_str!("scripts/settings.script"));
}

#[test]
fn items() {
    play(include_str!("scripts/items.script"));
}

#[test]
fn batches() {
    play(include_str!("scripts/batches.script"));
}

#[test]
fn pages() {
    play(include_str!("scripts/pages.script"));
}

#[test]
fn mistakes() {
    play(include_str!("scripts/mistakes.script"));
}

#[test]
fn older_parameters() {
    play(include_str!("scripts/legacy.script"));
}

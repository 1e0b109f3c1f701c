//! `cargo xtask`: chores.
fn main() {}

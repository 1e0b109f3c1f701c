//! The `kalpha` command.
fn main() {}

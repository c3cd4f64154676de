//! The kafscale command.
fn main() {}

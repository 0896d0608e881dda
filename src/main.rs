//! The `etagfs` program.

fn main() {}

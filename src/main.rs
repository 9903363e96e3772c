//! The `chokepoint` command line.

fn main() {}

//! The `chokepoint` command line: parses arguments, runs a command, maps errors to exit codes.

use std::process::ExitCode;

mod cli;

/// Requests are many small allocations on several threads, and memory must stay flat for months:
/// the system's allocator is slower at the one and keeps more at the other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}

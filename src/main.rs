//! The `chokepoint` command line: parses arguments, runs a command, maps errors to exit codes.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}

//! The `kafscale` program: runs a broker, and lets records go round without other tools.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}

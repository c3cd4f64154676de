//! The command line: which subcommand, with what.

mod broker;
mod client;
mod consume;
mod logging;
mod produce;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Command;

const EXAMPLES: &str = "\
Examples:
  kafscale broker --store file:///var/lib/kafscale     a broker on port 9092 whose bucket is a directory
  seq 1000 | kafscale produce numbers                  one record for each line, into the topic `numbers`
  kafscale consume numbers                             prints the topic's records and waits for more
  kafscale consume numbers --exit-at-end               prints what is there now";

/// Runs the program with these arguments, the program's name first.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = Command::new("kafscale")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Kafka on object storage: the bucket is the log")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([broker::command(), produce::command(), consume::command()]);
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let code = error.exit_code();
            // Help and version go to the standard output, mistakes to the standard error.
            let printed = error.print().is_ok();
            return if code == 0 && printed {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    let outcome = match matches.subcommand() {
        Some((broker::NAME, matches)) => broker::run(matches),
        Some((produce::NAME, matches)) => client::block_on(produce::run(matches)),
        Some((consume::NAME, matches)) => client::block_on(consume::run(matches)),
        _ => Err("no such subcommand".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(message);
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to the standard error. If even that is closed there is nobody left to tell.
pub(crate) fn complain(message: impl Display) {
    let _ = writeln!(io::stderr(), "kafscale: {message}");
}

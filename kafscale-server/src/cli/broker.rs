//! `kafscale broker`: reads the configuration, runs a broker until it is told to stop.

use std::io;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Command};
use kafscale_server::Server;
use kafscale_server::config::table::VARIABLES;
use kafscale_server::config::variable::{Fallback, Kind, Variable};
use kafscale_server::config::{LogSettings, ServerConfig, Values};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

use super::{complain, logging};

/// The subcommand.
pub(super) const NAME: &str = "broker";

const EXAMPLES: &str = "\
Every flag is also an environment variable, named in brackets; the flag wins. The keys of S3 are variables only:
KAFSCALE_S3_ACCESS_KEY, KAFSCALE_S3_SECRET_KEY, KAFSCALE_S3_SESSION_TOKEN.

Examples:
  kafscale broker --store file:///var/lib/kafscale
  kafscale broker --store memory: --broker-addr 127.0.0.1:9092 --metrics-addr 127.0.0.1:9093
  KAFSCALE_S3_BUCKET=logs KAFSCALE_S3_REGION=eu-west-1 kafscale broker
  KAFSCALE_S3_ACCESS_KEY=… KAFSCALE_S3_SECRET_KEY=… \\
      kafscale broker --store s3://logs/production --s3-endpoint http://127.0.0.1:8333";

/// The subcommand's flags: one for each setting that has one.
pub(super) fn command() -> Command {
    let flags = VARIABLES
        .iter()
        .filter_map(|variable| variable.flag.map(|flag| argument(variable, flag)));
    Command::new(NAME)
        .about("Runs a broker")
        .after_help(EXAMPLES)
        .next_line_help(true)
        .args(flags)
}

fn argument(variable: &Variable, flag: &'static str) -> Arg {
    let default = match variable.fallback {
        Fallback::Value(value) => format!("default: {value}"),
        Fallback::Unset(words) | Fallback::Derived(words) => format!("default: {words}"),
    };
    let argument = Arg::new(variable.name)
        .long(flag)
        .value_name(variable.kind.placeholder())
        .value_parser(NonEmptyStringValueParser::new())
        .help_heading(variable.section.title())
        .allow_hyphen_values(true)
        .help(format!("{} [{}, {default}]", variable.meaning, variable.name));
    if variable.kind == Kind::Boolean {
        // `--trace-kafka` alone means true.
        argument
            .num_args(0..=1)
            .default_missing_value("true")
            .require_equals(false)
            .allow_hyphen_values(false)
    } else {
        argument
    }
}

/// Runs a broker until a signal or the loss of its session ends it.
pub(super) fn run(matches: &ArgMatches) -> Result<(), String> {
    let flags = VARIABLES.iter().filter(|variable| variable.flag.is_some());
    let flags =
        flags.filter_map(|variable| Some((variable.name, matches.get_one::<String>(variable.name)?.clone())));
    let values = Values::collect(flags, std::env::vars_os()).map_err(|error| error.to_string())?;
    let config = ServerConfig::from_values(&values).map_err(|error| error.to_string())?;
    logging::init(&LogSettings::from_values(&values).map_err(|error| error.to_string())?)?;
    for line in &values.warnings {
        warn!("{line}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the process cannot start its threads: {error}"))?;
    let outcome = runtime.block_on(serve(config));
    // Nothing that is still running matters any more: all that was accepted is flushed, or the error says that not.
    runtime.shutdown_background();
    outcome
}

async fn serve(config: ServerConfig) -> Result<(), String> {
    let mut stop = StopSignals::new().map_err(|error| format!("signals cannot be received: {error}"))?;
    let server = tokio::select! {
        biased;
        () = stop.received() => return Ok(()),
        started = Server::start(config) => started.map_err(|error| error.to_string())?,
    };
    tokio::select! {
        biased;
        () = stop.received() => {}
        reason = server.fenced() => return Err(format!("the broker has lost its session and ends: {reason}")),
    }
    tokio::select! {
        biased;
        stopped = server.shutdown() => stopped.map_err(|error| error.to_string()),
        () = stop.received() => {
            complain("a second signal: ending at once, without flushing");
            Err("records that were accepted may not be in the bucket".to_owned())
        }
    }
}

/// SIGTERM and SIGINT.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> io::Result<StopSignals> {
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

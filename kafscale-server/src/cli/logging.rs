//! Where log lines go and how they look.

use std::io::{self, IsTerminal};

use kafscale_server::LIFECYCLE;
use kafscale_server::config::{LogFormat, LogSettings};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Writes log lines to the standard error from now on.
///
/// # Errors
/// When somebody else has taken the process's log already.
pub(super) fn init(settings: &LogSettings) -> Result<(), String> {
    let level = settings.level;
    // Libraries below us speak only when something is wrong.
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(
            ["kafscale", "kafscale_server", "kafscale_core", "kafscale_wire"].map(|ours| (ours, level)),
        )
        .with_target(LIFECYCLE, level.max(LevelFilter::INFO));
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let text = match settings.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = if text {
        lines.with_ansi(terminal).with_target(false).boxed()
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    registry.try_init().map_err(|error| error.to_string())
}

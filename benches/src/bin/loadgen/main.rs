//! `loadgen`: an open-loop load generator that measures any Kafka-compatible broker the same way.
//!
//! Records have a schedule. Each is due at its time whether or not the broker has answered the ones before it, and its
//! latency counts from then: a broker that stalls is charged for everything that should have been sent meanwhile
//! (otherwise the generator stalls with it and sees one slow answer, "coordinated omission").

mod args;
mod cluster;
mod consumer;
mod histogram;
mod metrics;
mod payload;
mod producer;
mod report;
mod run;
mod schedule;
mod stats;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::task::JoinSet;

use args::Args;
use cluster::Cluster;
use report::Report;
use run::Run;
use stats::Shared;

/// How long, after the last record was due, answers are waited for.
const DRAIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::try_parse().and_then(Args::checked) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match measure(args).await {
        Ok(report) if report.failed() => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("loadgen: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error: progress and complaints, apart from the report.
fn say(line: &str) {
    // There is nowhere to say that standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

async fn measure(args: Args) -> Result<Report, String> {
    let args = Arc::new(args);
    let cluster = Cluster::prepare(&args).await.map_err(|error| error.to_string())?;
    let found = cluster.partitions.len();
    if found != usize::try_from(args.partitions).unwrap_or_default() {
        say(&format!(
            "topic {} is there already, with {found} partitions",
            args.topic
        ));
    }
    // Also when nobody reads: then every partition can be written.
    let starts = cluster
        .ends(&args.topic)
        .await
        .map_err(|error| error.to_string())?;
    if args.idempotent
        && let Some(client) = cluster.nodes.first()
    {
        // Now, so that the load does not wait for it.
        producer::producer_id(client)
            .await
            .map_err(|error| error.to_string())?;
    }
    if let Some(url) = &args.metrics_url {
        // Now, so that a mistake in it does not cost a whole run.
        metrics::scrape(url).await.map_err(|error| error.to_string())?;
    }

    let run = Arc::new(Run::start(args.warm_up, args.duration));
    let stats = Arc::new(Shared::default());
    let mut producers = JoinSet::new();
    for number in 0..args.producers {
        producers.spawn(producer::run(
            Arc::clone(&args),
            Arc::clone(&run),
            Arc::clone(&stats),
            cluster.clone(),
            number,
        ));
    }
    let mut consumers = JoinSet::new();
    for number in 0..args.consumers {
        let mine = starts
            .iter()
            .copied()
            .skip(number)
            .step_by(args.consumers)
            .collect();
        consumers.spawn(consumer::run(
            Arc::clone(&args),
            Arc::clone(&run),
            Arc::clone(&stats),
            mine,
        ));
    }
    let watch = tokio::spawn(watch(Arc::clone(&args), Arc::clone(&run), Arc::clone(&stats)));
    let interrupted = tokio::spawn({
        let run = Arc::clone(&run);
        async move {
            match tokio::signal::ctrl_c().await {
                Ok(()) => say("stopping; once more kills"),
                Err(error) => return say(&format!("Ctrl-C will kill at once: {error}")),
            }
            run.stop();
            // The second one is not waited for politely.
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
    });

    let late = args.warm_up + args.duration + DRAIN;
    let left = |late: Duration| late.saturating_sub(run.now());
    let drained = tokio::time::timeout(left(late), async {
        while producers.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        stats.error("not answered when the run ended", 1);
        producers.abort_all();
    }
    run.producers_are_done();
    // A consumer that never reaches the end has counted its errors; it ends by itself.
    while consumers.join_next().await.is_some() {}
    let scrapes = watch
        .await
        .map_err(|error| format!("watching failed: {error}"))??;
    interrupted.abort();

    let report = Report::new(&args, found, &run, &stats.take(), scrapes);
    let text = if args.json {
        report.json().map_err(|error| format!("the report: {error}"))?
    } else {
        report.table()
    };
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| format!("the report: {error}"))?;
    Ok(report)
}

/// Reports progress every second, and reads the broker's metrics when the measurement begins and ends.
async fn watch(
    args: Arc<Args>,
    run: Arc<Run>,
    stats: Arc<Shared>,
) -> Result<Option<metrics::Difference>, String> {
    let scrape = async || match &args.metrics_url {
        Some(url) => metrics::scrape(url)
            .await
            .map(Some)
            .map_err(|error| error.to_string()),
        None => Ok(None),
    };
    let mut before = None;
    let mut measuring = false;
    let mut last = (Duration::ZERO, 0);
    loop {
        let next = if measuring || run.now() + Duration::from_secs(1) < args.warm_up {
            run.now() + Duration::from_secs(1)
        } else {
            args.warm_up
        };
        run.sleep_until(next.min(run.until())).await;
        let now = run.now();
        if !measuring && now >= args.warm_up {
            before = scrape().await?;
            measuring = true;
        }
        let written = stats.written();
        if !args.quiet && now > last.0 {
            let rate = (written - last.1) as f64 / (now - last.0).as_secs_f64();
            let bytes = rate * args.record_size as f64 / f64::from(1 << 20);
            let phase = if measuring { "" } else { "  (warm-up)" };
            say(&format!(
                "{:5.1} s  {rate:9.0} records/s  {bytes:7.1} MiB/s{phase}",
                now.as_secs_f64()
            ));
        }
        last = (now, written);
        if now >= run.until() {
            let after = scrape().await?;
            return Ok(before.zip(after).map(|(before, after)| after.since(&before)));
        }
    }
}

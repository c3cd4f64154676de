//! Writes `docs/metrics.md` from what `/metrics` says about itself.

use std::collections::BTreeMap;
use std::fmt::Write;

const HEAD: &str = "\
# Metrics of the broker

`http://<broker>:9093/metrics` serves these metrics as Prometheus text (`KAFSCALE_METRICS_ADDR` names another address).
A histogram has the series `_bucket`, `_sum` and `_count`. `/healthz` answers 200 while the process serves HTTP;
`/readyz` answers 200 while the broker takes requests, and 503 before the start is complete, while the store is
unavailable, and while it stops.

This page is written from the metrics' own help texts; a test keeps them equal.

| metric | type | meaning |
|---|---|---|
";

/// The whole of `docs/metrics.md`, from the text that `/metrics` serves.
pub fn markdown(exposition: &str) -> String {
    let mut metrics: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for line in exposition.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            metrics.entry(name).or_default().1 = help.trim_end_matches('.');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            metrics.entry(name).or_default().0 = kind;
        }
    }
    let mut page = HEAD.to_owned();
    for (name, (kind, help)) in metrics {
        let _ = writeln!(page, "| `{name}` | {kind} | {help} |");
    }
    page
}

//! What the broker says about itself: its requests to the store, its processor time, its memory.

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

const WITHIN: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const MAX_ANSWER: u64 = 16 << 20;

/// Why metrics cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ScrapeError {
    #[error("{0}: no answer within {WITHIN:?}")]
    Slow(Url),
    #[error("{0}: {1}")]
    Io(Url, std::io::Error),
    #[error("{0}: {1}")]
    Answer(Url, String),
}

/// Metrics at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scrape {
    /// Requests to the store by operation and purpose.
    store: BTreeMap<(String, String), f64>,
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    peak_bytes: Option<f64>,
}

/// What happened between two scrapes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Difference {
    /// Requests to the store by operation and purpose.
    pub(crate) store: BTreeMap<(String, String), f64>,
    /// Processor time of the broker.
    pub(crate) cpu_seconds: Option<f64>,
    /// The broker's memory at the end.
    pub(crate) resident_bytes: Option<f64>,
    /// The most memory that the broker has held, since it started.
    pub(crate) peak_bytes: Option<f64>,
}

impl Scrape {
    /// What happened since `before`.
    pub(crate) fn since(&self, before: &Scrape) -> Difference {
        let grown = |(key, &value): (&(String, String), &f64)| {
            (
                key.clone(),
                value - before.store.get(key).copied().unwrap_or_default(),
            )
        };
        Difference {
            store: self.store.iter().map(grown).collect(),
            cpu_seconds: self
                .cpu_seconds
                .zip(before.cpu_seconds)
                .map(|(after, before)| after - before),
            resident_bytes: self.resident_bytes,
            peak_bytes: self.peak_bytes,
        }
    }
}

/// Reads the metrics at `url`.
pub(crate) async fn scrape(url: &Url) -> Result<Scrape, ScrapeError> {
    let text = timeout(WITHIN, get(url))
        .await
        .map_err(|_| ScrapeError::Slow(url.clone()))??;
    let scrape = parse(&text);
    if scrape.store.is_empty() {
        let what = "no kafscale_store_requests_total there: is it a KafScale broker's metrics port?";
        return Err(ScrapeError::Answer(url.clone(), what.to_owned()));
    }
    Ok(scrape)
}

/// The body of an answer to a GET. In HTTP 1.0, so that the body ends with the connection and comes in one piece.
async fn get(url: &Url) -> Result<String, ScrapeError> {
    let broken = |error| ScrapeError::Io(url.clone(), error);
    let wrong = |what: &str| ScrapeError::Answer(url.clone(), what.to_owned());
    let host = url.host_str().ok_or_else(|| wrong("no host"))?;
    let port = url.port_or_known_default().ok_or_else(|| wrong("no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((host, port)).await.map_err(broken)?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request = format!(
        "GET {}{query} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: text/plain\r\n\r\n",
        url.path()
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    stream
        .take(MAX_ANSWER)
        .read_to_end(&mut answer)
        .await
        .map_err(broken)?;
    let answer = String::from_utf8(answer).map_err(|_| wrong("the answer is not text"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| wrong("the answer is not HTTP"))?;
    let status = head.split_whitespace().nth(1);
    if status == Some("200") {
        Ok(body.to_owned())
    } else {
        Err(wrong(head.lines().next().unwrap_or_default()))
    }
}

/// Takes what is wanted out of metrics in Prometheus' text format.
fn parse(text: &str) -> Scrape {
    let mut scrape = Scrape::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        match name {
            "kafscale_store_requests_total" => {
                let key = (label(labels, "operation"), label(labels, "purpose"));
                *scrape.store.entry(key).or_default() += value;
            }
            "process_cpu_seconds_total" => scrape.cpu_seconds = Some(value),
            "kafscale_broker_mem_sys_bytes" => scrape.resident_bytes = Some(value),
            "kafscale_broker_mem_peak_bytes" => scrape.peak_bytes = Some(value),
            _ => {}
        }
    }
    scrape
}

/// The value of a label in `a="1",b="2"}`; these values have no quotes inside them.
fn label(labels: &str, name: &str) -> String {
    let labels = labels.trim_end_matches('}').split(',');
    labels
        .filter_map(|label| label.split_once('='))
        .find(|&(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim_matches('"').to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;

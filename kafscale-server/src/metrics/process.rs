//! The process's age, memory and processor time, from `/proc` where there is one.

use std::fmt;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks of `/proc/self/stat` per second: `USER_HZ`, which is 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Asks the system when it is asked.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    started: Instant,
}

impl ProcessCollector {
    /// A collector of a process that starts now.
    pub(super) fn new() -> ProcessCollector {
        ProcessCollector {
            started: Instant::now(),
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: f64| {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        gauge(
            "kafscale_broker_uptime_seconds",
            "Time since the broker started",
            self.started.elapsed().as_secs_f64(),
        )?;
        if let Some(status) = read("/proc/self/status") {
            let kib = |field| kibibytes(&status, field).unwrap_or(0.0) * 1024.0;
            gauge(
                "kafscale_broker_mem_sys_bytes",
                "Memory that the process holds (resident)",
                kib("VmRSS:"),
            )?;
            gauge(
                "kafscale_broker_mem_peak_bytes",
                "The most memory that it has held (resident)",
                kib("VmHWM:"),
            )?;
        }
        if let Some(seconds) = read("/proc/self/stat").and_then(|stat| cpu_seconds(&stat)) {
            let help = "Processor time of the process, user and system";
            let metric = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        Ok(())
    }
}

/// The file's text; `None` on systems that have no such file.
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// A line of `/proc/self/status`: `VmRSS:`, then the number and `kB`.
fn kibibytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `/proc/self/stat`, counted after the name of the program, which may contain spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_of_proc_are_understood() {
        assert_eq!(
            kibibytes("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n", "VmRSS:"),
            Some(1024.0)
        );
        assert_eq!(kibibytes("Name:\tx\n", "VmRSS:"), None);
        let stat = "12 (a b) c) S 1 12 12 0 -1 4194560 500 0 0 0 250 50 0 0 20 0 9 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("12 (x) S 1"), None);
    }
}

//! The engine inside a program of your own: opens a log in memory or in a directory, writes two records, waits until they
//! are durable, and reads everything back.
//!
//! ```text
//! cargo run -p kafscale-core --example embed                   in memory
//! cargo run -p kafscale-core --example embed file:./my-log     in a directory: a second run finds the records of the first
//! ```
#![allow(clippy::print_stdout, reason = "printing is what an example is for")]

use std::time::Duration;

use bytes::Bytes;
use kafscale_core::clock::{Clock, SystemClock};
use kafscale_core::format::batch::Batches;
use kafscale_core::format::records::{BatchBuilder, Records};
use kafscale_core::{AppendOptions, Engine, FetchRequest, NewTopic, store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "memory:".to_owned());
    let engine = Engine::builder(store::open_url(&address).await?).open().await?;
    let orders = match engine.topic("orders") {
        Some(orders) => orders,
        None => engine.create_topic(NewTopic::new("orders", 1)).await?,
    };

    let now = SystemClock::new().unix_ms();
    let mut batch = BatchBuilder::new();
    batch.append(now, Some(b"alice"), Some(b"a book"), &[])?;
    batch.append(now, Some(b"bob"), Some(b"a bicycle"), &[])?;
    let wait = AppendOptions { wait: true };
    let appended = engine.append(orders.id, 0, batch.build()?, wait).await?;
    println!("the first record has offset {}", appended.base_offset);
    appended.durable().await?;
    println!("both are in {address}");

    let all = FetchRequest::one(orders.id, 0, 0, Duration::ZERO);
    for fetched in engine.fetch(all).await {
        let bytes = Bytes::from(fetched?.records.concat());
        for batch in Batches::strict(&bytes) {
            let (_header, range) = batch?;
            for record in Records::open(&bytes.slice(range), 1 << 20)? {
                let record = record?;
                let value = record.value.unwrap_or_default();
                println!("{}: {}", record.offset, value.escape_ascii());
            }
        }
    }
    engine.close().await?;
    Ok(())
}

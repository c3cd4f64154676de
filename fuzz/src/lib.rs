//! What several fuzz targets need: an allocator that counts.
//!
//! A target runs on the stable toolchain, with the committed seeds beside a corpus that grows:
//!
//! ```text
//! mkdir -p fuzz/corpus/guard
//! cargo fuzz run --sanitizer none guard fuzz/corpus/guard fuzz/seeds/guard -- -max_total_time=60
//! ```

pub mod counting;

//! A bucket whose contents are not in this process's memory, as those of a real one are not.
//!
//! A bucket in memory grows with every append, and at gigabytes a second the kernel's work for fresh pages is as much as
//! the engine's own. This one keeps the head of each log object and segment, which is all that is read of them while
//! nothing is fetched and nothing was evicted, and everything of other objects.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Bytes that are kept of an object that is not kept whole.
const HEAD: usize = 512;

/// A bucket that forgets the payload. Reading one back gives what was kept: measurements must not fetch from it.
#[derive(Debug, Default)]
pub struct Forgetful {
    kept: InMemory,
}

impl fmt::Display for Forgetful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a forgetful bucket")
    }
}

fn head_of(payload: &PutPayload) -> PutPayload {
    let mut head = Vec::with_capacity(HEAD);
    for chunk in payload {
        let more = chunk.len().min(HEAD - head.len());
        head.extend(chunk.iter().take(more));
    }
    Bytes::from(head).into()
}

#[async_trait]
impl ObjectStore for Forgetful {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let large = matches!(location.extension(), Some("kfw" | "kfs"));
        let payload = if large { head_of(&payload) } else { payload };
        self.kept.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.kept.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.kept.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.kept.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.kept.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.kept.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.kept.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.kept.copy_opts(from, to, options).await
    }
}

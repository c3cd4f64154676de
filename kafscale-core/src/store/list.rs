//! Listing what is in the bucket.

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectMeta, Result as StoreResult};

use super::{ObjectInfo, Operation, Purpose, Store, path_of};
use crate::error::{Error, ErrorKind, Result};

impl Store {
    /// Lists all objects below `prefix`, which ends with `/` or is empty, sorted by key.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store did not list within the retry limits.
    pub async fn list(&self, prefix: &str, purpose: Purpose) -> Result<Vec<ObjectInfo>> {
        let path = prefix_of(prefix)?;
        self.list_all(prefix, purpose, || self.0.objects.list(path.as_ref()))
            .await
    }

    /// Lists the objects below `prefix` whose key is above `after_key`, sorted by key.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_after(
        &self,
        prefix: &str,
        after_key: &str,
        purpose: Purpose,
    ) -> Result<Vec<ObjectInfo>> {
        let path = prefix_of(prefix)?;
        let after = path_of(after_key)?;
        let mut found = self
            .list_all(prefix, purpose, || {
                self.0.objects.list_with_offset(path.as_ref(), &after)
            })
            .await?;
        found.retain(|object| object.key.as_str() > after_key);
        Ok(found)
    }

    /// Lists the names of what would be the directories directly below `prefix`, which ends with `/` or is empty: names
    /// without `prefix` and without a slash, sorted. Some stores still name a directory for a while when its last object is
    /// gone.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_dirs(&self, prefix: &str, purpose: Purpose) -> Result<Vec<String>> {
        let path = prefix_of(prefix)?;
        let mut tries = self.tries(Operation::List, purpose);
        let listed = loop {
            let work = self.timed(u64::MAX, self.0.objects.list_with_delimiter(path.as_ref()));
            match self.attempt(Operation::List, purpose, work).await {
                Ok(listed) => break listed,
                Err(failure) => {
                    tries
                        .pause_after(failure)
                        .await
                        .map_err(|f| f.into_error(ErrorKind::Unavailable, "list", prefix))?;
                }
            }
        };
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|dir| dir.filename())
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    async fn list_all(
        &self,
        prefix: &str,
        purpose: Purpose,
        mut open: impl FnMut() -> BoxStream<'static, StoreResult<ObjectMeta>>,
    ) -> Result<Vec<ObjectInfo>> {
        let mut tries = self.tries(Operation::List, purpose);
        let mut found = loop {
            let pages = open();
            match self.attempt(Operation::List, purpose, self.collect(pages)).await {
                Ok(found) => break found,
                Err(failure) => {
                    tries
                        .pause_after(failure)
                        .await
                        .map_err(|f| f.into_error(ErrorKind::Unavailable, "list", prefix))?;
                }
            }
        };
        // S3 Express lists in no order, a directory in its own.
        found.sort_unstable();
        Ok(found)
    }

    async fn collect(
        &self,
        mut objects: BoxStream<'static, StoreResult<ObjectMeta>>,
    ) -> StoreResult<Vec<ObjectInfo>> {
        let mut found = Vec::new();
        // The time limit is for each page, however many there are.
        while let Some(object) = self.timed(0, async { objects.next().await.transpose() }).await? {
            found.push(ObjectInfo {
                key: object.location.to_string(),
                size: object.size,
                modified_ms: object.last_modified.timestamp_millis(),
            });
        }
        Ok(found)
    }
}

/// A prefix as the store's client wants it: without its last slash, `None` for the whole bucket.
fn prefix_of(prefix: &str) -> Result<Option<Path>> {
    if prefix.is_empty() {
        return Ok(None);
    }
    match prefix.strip_suffix('/') {
        Some(dir) => path_of(dir).map(Some),
        None => Err(Error::new(
            ErrorKind::Invalid,
            format!("the prefix {prefix:?} must end with a slash"),
        )),
    }
}

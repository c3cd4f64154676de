//! The segments of one partition that are in the bucket: from a LIST when they are first wanted, then from our own cuts.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::error::{Error, ErrorKind, Result};
use crate::format::keys::{self, ObjectKey};
use crate::format::segment::{FOOTER_LEN, SegmentFooter};
use crate::store::{Purpose, Store};

/// Where a partition's segments are.
#[derive(Clone, Debug)]
pub(crate) struct SegmentPlace {
    pub(crate) namespace: Arc<str>,
    pub(crate) directory: Arc<str>,
    pub(crate) partition: i32,
}

impl SegmentPlace {
    /// Key of the segment that begins at `base`.
    pub(crate) fn segment_key(&self, base: i64) -> String {
        keys::segment_key(&self.namespace, &self.directory, self.partition, base)
    }

    /// Key of the index of that segment.
    pub(crate) fn index_key(&self, base: i64) -> String {
        keys::index_key(&self.namespace, &self.directory, self.partition, base)
    }
}

/// First offset and end of the segments that lie in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentExtent {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: i64,
    pub(crate) key: Arc<str>,
    pub(crate) index_key: Arc<str>,
    pub(crate) size: u64,
    /// Largest timestamp of its records, once it is known.
    pub(crate) max_timestamp: OnceCell<i64>,
}

/// The segments of one partition by base offset.
#[derive(Debug)]
pub(crate) struct SegmentList {
    pub(crate) place: SegmentPlace,
    known: Mutex<BTreeMap<i64, Arc<Segment>>>,
    listed: OnceCell<()>,
}

impl SegmentList {
    /// A list that is `complete` as it is, or one that has to be read from the bucket.
    pub(crate) fn new(place: SegmentPlace, complete: bool) -> SegmentList {
        SegmentList {
            place,
            known: Mutex::new(BTreeMap::new()),
            listed: OnceCell::new_with(complete.then_some(())),
        }
    }

    /// A segment that this process has written.
    pub(crate) fn add(&self, segment: Segment) {
        self.known.lock().insert(segment.base, Arc::new(segment));
    }

    /// The segment that begins at or last before `offset`, and the base of the one after it.
    pub(crate) async fn find(
        &self,
        store: &Store,
        offset: i64,
    ) -> Result<Option<(Arc<Segment>, Option<i64>)>> {
        self.ensure_listed(store).await?;
        let known = self.known.lock();
        let found = known
            .range(..=offset)
            .next_back()
            .map(|(_, segment)| Arc::clone(segment));
        let next = known
            .range(offset.saturating_add(1)..)
            .next()
            .map(|(&base, _)| base);
        Ok(found.map(|segment| (segment, next)))
    }

    /// All segments, oldest first.
    pub(crate) async fn all(&self, store: &Store) -> Result<Vec<Arc<Segment>>> {
        self.ensure_listed(store).await?;
        Ok(self.known.lock().values().cloned().collect())
    }

    /// First offset and end of the segments in the bucket; `None` when there is none.
    pub(crate) async fn extent(&self, store: &Store) -> Result<Option<SegmentExtent>> {
        self.ensure_listed(store).await?;
        let (first, last) = {
            let known = self.known.lock();
            match (known.first_key_value(), known.last_key_value()) {
                (Some((&first, _)), Some((_, last))) => (first, Arc::clone(last)),
                _ => return Ok(None),
            }
        };
        let footer = read_footer(store, &last).await?;
        Ok(Some(SegmentExtent {
            start: first,
            end: footer.last_offset + 1,
        }))
    }

    async fn ensure_listed(&self, store: &Store) -> Result<()> {
        self.listed
            .get_or_try_init(|| async {
                let place = &self.place;
                let prefix = keys::partition_prefix(&place.namespace, &place.directory, place.partition);
                let objects = store.list(&prefix, Purpose::Recovery).await?;
                let mut known = self.known.lock();
                for object in objects {
                    let Some(ObjectKey::Segment { base, .. }) =
                        ObjectKey::parse(&place.namespace, &object.key)
                    else {
                        continue;
                    };
                    known.entry(base).or_insert_with(|| {
                        Arc::new(Segment {
                            base,
                            key: object.key.as_str().into(),
                            index_key: place.index_key(base).into(),
                            size: object.size,
                            max_timestamp: OnceCell::new(),
                        })
                    });
                }
                Ok(())
            })
            .await
            .copied()
    }
}

/// The last 16 bytes of a segment.
pub(crate) async fn read_footer(store: &Store, segment: &Segment) -> Result<SegmentFooter> {
    let tail = store
        .get_tail(&segment.key, segment.size, FOOTER_LEN as u64, Purpose::Recovery)
        .await?
        .ok_or_else(|| missing(&segment.key))?;
    SegmentFooter::parse(&tail).map_err(|e| {
        Error::new(ErrorKind::Corrupt, format!("segment {} is damaged", segment.key)).with_source(e)
    })
}

/// The error of an object that should be there.
pub(crate) fn missing(key: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("object {key} is missing; restore it from a backup or an older version of the bucket"),
    )
}

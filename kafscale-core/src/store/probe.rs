//! The start-up probe: is this a store that the promises can stand on?

use std::time::Duration;

use bytes::Bytes;

use super::{CreateLimit, CreateOutcome, Purpose, Store, StoreKind, path_of};
use crate::error::{Error, ErrorKind, Result};

/// How long each step of the probe may take.
const STEP: CreateLimit = CreateLimit::Within(Duration::from_secs(15));

/// Creates of one key at the same time: a store that looks first and writes then lets several of them win.
const RIVALS: usize = 4;

/// Leftovers of a probe that did not end are deleted when they are older than this, in milliseconds.
const LEFTOVER_MS: i64 = 3_600_000;

impl Store {
    /// Finds out whether the store can be written, read, listed and deleted, and whether it creates an object only when
    /// there is none; leaves one object a broker, `_kafscale/{namespace}/probe/{broker}`, which is overwritten.
    ///
    /// # Errors
    /// [`ErrorKind::Precondition`] with a message that says what the store did and how to mend it.
    pub async fn probe(&self, namespace: &str, broker: i32) -> Result<()> {
        let dir = format!("_kafscale/{namespace}/probe/");
        let kept = path_of(&format!("{dir}{broker}"))?;
        let mine = format!("{dir}{broker}-");
        let key = format!("{mine}{:016x}", self.0.random.u64());

        self.probe_creates(&key).await?;
        self.probe_listing(&dir, &mine, &key).await?;
        self.delete(vec![key], Purpose::Probe)
            .await
            .map_err(|e| refused("delete an object", e))?;
        let text = Bytes::from(format!(
            "broker {broker} started at {} ms\n",
            self.0.clock.unix_ms()
        ));
        self.overwrite(kept.as_ref(), text, Purpose::Probe)
            .await
            .map_err(|e| refused("replace an object", e))?;
        // A second probe of the same store leaves the key of the first.
        self.0.probe_key.get_or_init(|| kept);
        Ok(())
    }

    /// Leaves an object at `key`.
    async fn probe_creates(&self, key: &str) -> Result<()> {
        let (id, bytes) = self.probe_object();
        match self.probe_create(key, id, &bytes).await? {
            CreateOutcome::Created => {}
            CreateOutcome::Exists { .. } => {
                return Err(broken("says that an object exists which was never written"));
            }
        }
        let (rival_id, rival_bytes) = self.probe_object();
        let second = self.probe_create(key, rival_id, &rival_bytes).await?;
        let CreateOutcome::Exists { head } = second else {
            return Err(ignores_condition(
                "the second of two creates of one object also succeeded",
            ));
        };
        if head.get(super::ATTEMPT_RANGE) != Some(&id[..]) {
            return Err(ignores_condition(
                "a create that was answered with \"exists\" replaced the object",
            ));
        }
        if self.kind() == StoreKind::Local {
            // Here the operating system decides whether a name is taken, not a server that may look first and write then.
            // Every write waits for the disk, and brokers on a directory are to start fast.
            return Ok(());
        }
        self.delete(vec![key.to_owned()], Purpose::Probe)
            .await
            .map_err(|e| refused("delete an object", e))?;
        let rivals = (0..RIVALS).map(|_| async {
            let (id, bytes) = self.probe_object();
            self.probe_create(key, id, &bytes).await
        });
        let outcomes = futures::future::try_join_all(rivals).await?;
        match outcomes
            .iter()
            .filter(|outcome| **outcome == CreateOutcome::Created)
            .count()
        {
            1 => Ok(()),
            0 => Err(broken("says that a deleted object still exists")),
            winners => Err(ignores_condition(&format!(
                "{winners} of {RIVALS} creates of one object at the same time succeeded"
            ))),
        }
    }

    async fn probe_listing(&self, dir: &str, mine: &str, key: &str) -> Result<()> {
        let listed = self
            .list(dir, Purpose::Probe)
            .await
            .map_err(|e| refused("list objects", e))?;
        if !listed.iter().any(|object| object.key == key) {
            return Err(broken(
                "does not list an object that was just written: it needs strongly consistent listings, \
                 as Amazon S3 has; a cache or a replica in front of it must be taken out",
            ));
        }
        let old = self.0.clock.unix_ms().saturating_sub(LEFTOVER_MS);
        let leftovers: Vec<String> = listed
            .into_iter()
            .filter(|object| object.key != key && object.key.starts_with(mine) && object.modified_ms < old)
            .map(|object| object.key)
            .collect();
        self.delete(leftovers, Purpose::Probe)
            .await
            .map_err(|e| refused("delete an object", e))
    }

    async fn probe_create(&self, key: &str, id: [u8; 16], bytes: &Bytes) -> Result<CreateOutcome> {
        self.create(key, std::slice::from_ref(bytes), Some(id), STEP, Purpose::Probe)
            .await
            .map_err(|e| refused("create an object", e))
    }

    /// An attempt id and an object of the slots' shape that carries it.
    fn probe_object(&self) -> ([u8; 16], Bytes) {
        let id = self.0.random.bytes16();
        (id, Bytes::from([b"KPROBE\0\0", &id[..]].concat()))
    }
}

fn refused(verb: &str, error: Error) -> Error {
    let what = match error.kind() {
        ErrorKind::Timeout => "did not answer in time when it was asked to",
        _ => "did not",
    };
    Error::new(
        ErrorKind::Precondition,
        format!(
            "the store cannot be used: it {what} {verb}. Check that its address is right and answers, that the bucket or \
             directory exists and has room, and that the credentials may get, put, list and delete there"
        ),
    )
    .with_source(error.to_string())
}

fn broken(what: &str) -> Error {
    Error::new(
        ErrorKind::Precondition,
        format!("the store cannot be used: it {what}"),
    )
}

fn ignores_condition(what: &str) -> Error {
    Error::new(
        ErrorKind::Precondition,
        format!(
            "the store cannot be used: it does not honour conditional writes ({what}). KafScale needs a PUT with \
             \"If-None-Match: *\" to fail when the object exists, or two writers would replace each other's data. Use Amazon \
             S3, or a release of your store that supports conditional writes"
        ),
    )
}

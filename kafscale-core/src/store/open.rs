//! From an address to a store: `file:`, `memory:` and `s3:`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use super::local::LocalStore;
use super::{Store, StoreKind, StoreSettings};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::StoreMetrics;
use crate::random::Random;

/// Where the bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// A directory of this machine.
    File {
        /// The directory; created when it is missing.
        dir: PathBuf,
        /// Whether an acknowledged write survives a power loss.
        fsync: bool,
    },
    /// The process's memory.
    Memory,
    /// A bucket of Amazon S3 or of what speaks its protocol.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What all keys begin with, without a slash at either end; empty for the whole bucket.
        prefix: String,
    },
}

/// How to reach S3. What is `None` comes from the `AWS_*` variables and the credentials of the machine.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// Address of a server that speaks S3's protocol, `http://` or `https://`. `None`: Amazon.
    pub endpoint: Option<String>,
    /// Whether the bucket is in the path instead of the host name. `None`: when an endpoint is given.
    pub path_style: Option<bool>,
    /// Access key id.
    pub access_key: Option<String>,
    /// Secret access key.
    pub secret_key: Option<String>,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// Key that the server encrypts objects with (SSE-KMS).
    pub kms_key_arn: Option<String>,
    /// Sends requests without a signature: for servers without access control.
    pub anonymous: bool,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "(hidden)");
        f.debug_struct("S3Options")
            .field("endpoint", &self.endpoint)
            .field("path_style", &self.path_style)
            .field("access_key", &hidden(&self.access_key))
            .field("secret_key", &hidden(&self.secret_key))
            .field("session_token", &hidden(&self.session_token))
            .field("region", &self.region)
            .field("kms_key_arn", &self.kms_key_arn)
            .field("anonymous", &self.anonymous)
            .finish()
    }
}

impl StoreLocation {
    /// Reads an address: `file:///absolute/dir`, `file:relative/dir`, either with `?fsync=false`; `memory:`;
    /// `s3://bucket` or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// [`ErrorKind::Precondition`] with a message that says what is wrong and how to write it.
    pub fn parse(text: &str) -> Result<StoreLocation> {
        let wrong = |why: &str| {
            Error::new(
                ErrorKind::Precondition,
                format!(
                    "{text:?} is not the address of a store: {why}. Write file:///absolute/dir, file:relative/dir, \
                     s3://bucket/prefix or memory:"
                ),
            )
        };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(wrong("it does not begin with a scheme"));
        };
        match scheme {
            "file" => parse_file(rest).map_err(|why| wrong(&why)),
            "memory" if matches!(rest, "" | "//" | "///") => Ok(StoreLocation::Memory),
            "memory" => Err(wrong("memory: takes nothing after it")),
            "s3" => parse_s3(text).map_err(|why| wrong(&why)),
            _ => Err(wrong(&format!("the scheme {scheme:?} is not known"))),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreLocation::File { dir, fsync } => {
                write!(
                    f,
                    "file:{}{}",
                    dir.display(),
                    if *fsync { "" } else { "?fsync=false" }
                )
            }
            StoreLocation::Memory => f.write_str("memory:"),
            StoreLocation::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            StoreLocation::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

fn parse_file(rest: &str) -> Result<StoreLocation, String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut fsync = true;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        fsync = match (&*name, &*value) {
            ("fsync", "true") => true,
            ("fsync", "false") => false,
            ("fsync", other) => return Err(format!("fsync is true or false, not {other:?}")),
            (other, _) => return Err(format!("the option {other:?} is not known")),
        };
    }
    if path.contains('#') {
        return Err("a # in the directory must be written as %23".to_owned());
    }
    let dir = if path.starts_with('/') {
        let url = Url::parse(&format!("file:{path}")).map_err(|e| e.to_string())?;
        url.to_file_path()
            .map_err(|()| "after file:// comes a third slash, or another host is meant".to_owned())?
    } else if path.starts_with('~') {
        return Err("~ is not expanded here, write the whole directory".to_owned());
    } else if path.contains('%') {
        return Err("a relative directory is taken as it is, without % escapes".to_owned());
    } else {
        PathBuf::from(path)
    };
    if dir.as_os_str().is_empty() || dir.parent().is_none() {
        return Err("it names no directory".to_owned());
    }
    Ok(StoreLocation::File { dir, fsync })
}

fn parse_s3(text: &str) -> Result<StoreLocation, String> {
    let Some(rest) = text.strip_prefix("s3://") else {
        return Err("after s3: come two slashes".to_owned());
    };
    if let Some(bad) = rest.chars().find(|c| "?#@%\\".contains(*c)) {
        return Err(format!(
            "{bad:?} cannot be in it; keys, region and endpoint are set apart from it"
        ));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(name) {
        return Err(format!(
            "{bucket:?} cannot be the name of a bucket (3 to 63 lower-case letters, digits, dots and hyphens)"
        ));
    }
    let prefix = prefix.trim_end_matches('/');
    Path::parse(prefix).map_err(|e| format!("the prefix {prefix:?} cannot be used: {e}"))?;
    if prefix.starts_with('/') {
        return Err("the prefix begins with a slash".to_owned());
    }
    Ok(StoreLocation::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// Opens the store at an address (see [`StoreLocation::parse`]) with default settings, the machine's clock, and for S3 with
/// what the `AWS_*` variables and the machine's credentials say.
///
/// # Errors
/// Those of [`StoreLocation::parse`] and [`open`].
pub async fn open_url(address: &str) -> Result<Store> {
    open(
        &StoreLocation::parse(address)?,
        &S3Options::default(),
        StoreSettings::default(),
        Arc::new(SystemClock::new()),
        Arc::new(Random::from_system()?),
        Arc::new(StoreMetrics::new()),
    )
    .await
}

/// Opens the store at `location`. A local directory is created when it is missing and locked while the store lives.
///
/// # Errors
/// [`ErrorKind::Precondition`] when the settings contradict themselves, the directory cannot be created or is in use by
/// another process, or the options for S3 cannot be. Whether a remote store answers is found out by [`Store::probe`].
pub async fn open(
    location: &StoreLocation,
    s3: &S3Options,
    settings: StoreSettings,
    clock: Arc<dyn Clock>,
    random: Arc<Random>,
    metrics: Arc<StoreMetrics>,
) -> Result<Store> {
    settings.validate()?;
    match location {
        StoreLocation::Memory => {
            let objects = Arc::new(InMemory::new());
            Ok(Store::new(
                objects,
                StoreKind::Memory,
                settings,
                clock,
                random,
                metrics,
            ))
        }
        StoreLocation::File { dir, fsync } => {
            let (dir, fsync, now_ms) = (dir.clone(), *fsync, clock.unix_ms());
            let opened = tokio::task::spawn_blocking(move || LocalStore::open(&dir, fsync, now_ms)).await;
            let objects = Arc::new(opened.map_err(|e| {
                Error::new(
                    ErrorKind::Precondition,
                    "opening the store's directory was interrupted",
                )
                .with_source(e)
            })??);
            let local = Arc::clone(&objects);
            Ok(Store::new(objects, StoreKind::Local, settings, clock, random, metrics).over_directory(local))
        }
        StoreLocation::S3 { bucket, prefix } => {
            let objects = open_s3(bucket, prefix, s3, &settings)?;
            Ok(Store::new(
                objects,
                StoreKind::Remote,
                settings,
                clock,
                random,
                metrics,
            ))
        }
    }
}

#[cfg(feature = "s3")]
fn open_s3(
    bucket: &str,
    prefix: &str,
    options: &S3Options,
    settings: &StoreSettings,
) -> Result<Arc<dyn object_store::ObjectStore>> {
    super::s3::open(bucket, prefix, options, settings)
}

#[cfg(not(feature = "s3"))]
fn open_s3(
    bucket: &str,
    _prefix: &str,
    _options: &S3Options,
    _settings: &StoreSettings,
) -> Result<Arc<dyn object_store::ObjectStore>> {
    Err(Error::new(
        ErrorKind::Precondition,
        format!("the bucket {bucket:?} cannot be opened: this program was built without the feature `s3`"),
    ))
}

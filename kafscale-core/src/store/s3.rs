//! A bucket of Amazon S3, or of a server that speaks its protocol.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::{S3Options, StoreSettings};
use crate::error::{Error, ErrorKind, Result};

/// Servers close idle connections after some time of their own (Amazon after about 20 seconds); one that is closed while it is
/// taken from the pool costs a try.
const POOL_IDLE: Duration = Duration::from_secs(15);

pub(crate) fn open(
    bucket: &str,
    prefix: &str,
    options: &S3Options,
    settings: &StoreSettings,
) -> Result<Arc<dyn ObjectStore>> {
    let builder = configure(AmazonS3Builder::from_env(), bucket, options, settings)?;
    finish(builder, bucket, prefix)
}

/// Builds the store; a key prefix becomes part of every key.
pub(crate) fn finish(builder: AmazonS3Builder, bucket: &str, prefix: &str) -> Result<Arc<dyn ObjectStore>> {
    // Without a provider of cryptography the HTTP client panics. An error says that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let s3 = builder.build().map_err(|e| {
        Error::new(
            ErrorKind::Precondition,
            format!("the bucket {bucket:?} cannot be opened"),
        )
        .with_source(e)
    })?;
    if prefix.is_empty() {
        return Ok(Arc::new(s3));
    }
    let prefix = Path::parse(prefix).map_err(|e| {
        Error::new(
            ErrorKind::Precondition,
            format!("the key prefix {prefix:?} cannot be used"),
        )
        .with_source(e)
    })?;
    Ok(Arc::new(PrefixStore::new(s3, prefix)))
}

/// Puts the options into `builder`, which may hold what the environment says.
pub(crate) fn configure(
    builder: AmazonS3Builder,
    bucket: &str,
    options: &S3Options,
    settings: &StoreSettings,
) -> Result<AmazonS3Builder> {
    let longest = Duration::from_millis(settings.request_timeout_max_ms);
    let endpoint = options.endpoint.as_deref().map(parse_endpoint).transpose()?;
    let mut client = ClientOptions::new()
        // Our own limits by size end a try earlier; this one ends what nobody waits for any more.
        .with_timeout(longest)
        .with_connect_timeout(Duration::from_millis(settings.request_timeout_ms.min(5_000)))
        .with_pool_max_idle_per_host(settings.concurrency.saturating_mul(2))
        .with_pool_idle_timeout(POOL_IDLE);
    if endpoint.as_ref().is_some_and(|url| url.scheme() == "http") {
        client = client.with_allow_http(true);
    }
    let mut builder = builder
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // Every try goes through our own loop, which counts it and knows what may be sent again.
        .with_retry(RetryConfig {
            max_retries: 0,
            retry_timeout: longest,
            ..RetryConfig::default()
        });

    let path_style = options.path_style.unwrap_or(endpoint.is_some());
    builder = builder.with_virtual_hosted_style_request(!path_style);
    if let Some(url) = endpoint {
        builder = builder.with_endpoint(if path_style {
            plain(&url)
        } else {
            with_bucket(&url, bucket)?
        });
    }
    // Directory buckets (S3 Express One Zone) are known by their names' ending and sign in another way.
    if bucket.ends_with("--x-s3") && options.endpoint.is_none() {
        builder = builder.with_s3_express(true);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if let Some(key) = &options.kms_key_arn {
        // One data key for many objects: without it every small PUT is a KMS request.
        builder = builder.with_sse_kms_encryption(key).with_bucket_key(true);
    }
    credentials(builder, options)
}

fn credentials(mut builder: AmazonS3Builder, options: &S3Options) -> Result<AmazonS3Builder> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::Precondition, why));
    match (&options.access_key, &options.secret_key) {
        (Some(_), _) | (_, Some(_)) if options.anonymous => {
            return refuse(
                "S3 credentials are given although requests are to be anonymous: take one of them away",
            );
        }
        (Some(access), Some(secret)) => {
            builder = builder.with_access_key_id(access).with_secret_access_key(secret);
        }
        (Some(_), None) => return refuse("an S3 access key is given without its secret key"),
        (None, Some(_)) => return refuse("an S3 secret key is given without its access key"),
        (None, None) if options.session_token.is_some() => {
            return refuse("an S3 session token is given without access key and secret key");
        }
        (None, None) => {}
    }
    if let Some(token) = &options.session_token {
        builder = builder.with_token(token);
    }
    if options.anonymous {
        builder = builder.with_skip_signature(true);
    }
    Ok(builder)
}

fn parse_endpoint(text: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::new(
            ErrorKind::Precondition,
            format!(
                "the S3 endpoint {text:?} cannot be used: {why}. Write it as http://host:port or https://host:port"
            ),
        )
    };
    let url = Url::parse(text).map_err(|e| wrong(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it carries credentials"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has more than a host and a path"));
    }
    Ok(url)
}

fn plain(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn with_bucket(url: &Url, bucket: &str) -> Result<String> {
    let host = url.host_str().unwrap_or_default();
    if url
        .host()
        .is_some_and(|host| !matches!(host, url::Host::Domain(_)))
    {
        return Err(Error::new(
            ErrorKind::Precondition,
            format!(
                "the bucket {bucket:?} cannot be part of the host name of {url}, an address: use path style"
            ),
        ));
    }
    let mut url = url.clone();
    let named = format!("{bucket}.{host}");
    url.set_host(Some(&named)).map_err(|e| {
        Error::new(ErrorKind::Precondition, format!("{named:?} is not a host name")).with_source(e)
    })?;
    Ok(plain(&url))
}

//! Which store the settings name, how to reach it, and when it counts as slow or down.

use kafscale_core::health::HealthSettings;
use kafscale_core::store::{S3Options, StoreLocation, StoreSettings};

use super::variable::Variable;
use super::{ConfigError, Values, table};

/// Where the data is and how to reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreConfig {
    /// The bucket.
    pub location: StoreLocation,
    /// What S3 needs beside bucket and prefix.
    pub s3: S3Options,
    /// Concurrency, retries and health.
    pub settings: StoreSettings,
}

/// Reads the store's settings.
///
/// # Errors
/// No store, several stores, or settings that do not belong to the store that is named.
pub(super) fn from_values(values: &Values) -> Result<StoreConfig, ConfigError> {
    let url = store_url(values)?;
    let location = StoreLocation::parse(&url).map_err(|error| ConfigError::new(error.to_string()))?;
    let health = HealthSettings {
        window_ms: values
            .required::<u64>(&table::S3_HEALTH_WINDOW_SEC)?
            .saturating_mul(1000),
        latency_warn_ms: values.required(&table::S3_LATENCY_WARN_MS)?,
        latency_crit_ms: values.required(&table::S3_LATENCY_CRIT_MS)?,
        error_rate_warn: values.required(&table::S3_ERROR_RATE_WARN)?,
        error_rate_crit: values.required(&table::S3_ERROR_RATE_CRIT)?,
        ..HealthSettings::default()
    };
    if health.latency_warn_ms > health.latency_crit_ms {
        return Err(ConfigError::new(
            "KAFSCALE_S3_LATENCY_WARN_MS is above KAFSCALE_S3_LATENCY_CRIT_MS",
        ));
    }
    if health.error_rate_warn > health.error_rate_crit {
        return Err(ConfigError::new(
            "KAFSCALE_S3_ERROR_RATE_WARN is above KAFSCALE_S3_ERROR_RATE_CRIT",
        ));
    }
    let settings = StoreSettings {
        concurrency: values.required(&table::S3_CONCURRENCY)?,
        health,
        ..StoreSettings::default()
    };
    settings
        .validate()
        .map_err(|error| ConfigError::new(error.to_string()))?;
    let s3 = s3(values, &location)?;
    Ok(StoreConfig {
        location,
        s3,
        settings,
    })
}

/// Whether `url` has this scheme, whatever its case.
fn has_scheme(url: &str, scheme: &str) -> bool {
    url.split_once(':')
        .is_some_and(|(found, _)| found.eq_ignore_ascii_case(scheme))
}

/// The one store that the settings name. Several may name it only if they agree.
fn store_url(values: &Values) -> Result<String, ConfigError> {
    let origin = values.origin(&table::STORE_URL);
    let memory = values.flag(&table::USE_MEMORY_S3);
    let bucket = values.given(&table::S3_BUCKET);
    let conflict = |left: &str, right: &str| {
        Err(ConfigError::new(format!(
            "{left} and {right} name different stores; unset one of them"
        )))
    };
    match (values.given(&table::STORE_URL), bucket) {
        (Some(url), _) if memory && !has_scheme(url, "memory") => {
            conflict(&format!("{origin} ({url})"), values.origin(&table::USE_MEMORY_S3))
        }
        (_, Some(bucket)) if memory => conflict(
            &format!("{} ({bucket})", values.origin(&table::S3_BUCKET)),
            values.origin(&table::USE_MEMORY_S3),
        ),
        (Some(url), Some(bucket)) => {
            let named = url.split_once("://").filter(|_| has_scheme(url, "s3"));
            let named = named.map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
            if named == Some(bucket) {
                return Ok(url.to_owned());
            }
            conflict(
                &format!("{origin} ({url})"),
                &format!("{} ({bucket})", values.origin(&table::S3_BUCKET)),
            )
        }
        (Some(url), None) => {
            if ["file", "s3", "memory"]
                .iter()
                .any(|scheme| has_scheme(url, scheme))
            {
                return Ok(url.to_owned());
            }
            Err(ConfigError::new(format!(
                "{origin} is {url:?}; it must be file:///directory, s3://bucket/prefix or memory:"
            )))
        }
        (None, Some(bucket)) => Ok(format!("s3://{bucket}")),
        (None, None) if memory => Ok("memory:".to_owned()),
        (None, None) => Err(ConfigError::new(
            "no store is named, and records must be kept somewhere. Name one with --store or KAFSCALE_STORE_URL:\n  \
             kafscale broker --store file:///var/lib/kafscale     a local directory\n  \
             kafscale broker --store s3://bucket/prefix           S3, with the KAFSCALE_S3_* variables\n  \
             kafscale broker --store memory:                      nothing is kept when the process ends",
        )),
    }
}

fn s3(values: &Values, location: &StoreLocation) -> Result<S3Options, ConfigError> {
    let only_s3 = [
        &table::S3_REGION,
        &table::S3_ENDPOINT,
        &table::S3_PATH_STYLE,
        &table::S3_ACCESS_KEY,
        &table::S3_SECRET_KEY,
        &table::S3_SESSION_TOKEN,
        &table::S3_KMS_ARN,
    ];
    if !matches!(location, StoreLocation::S3 { .. }) {
        if let Some(variable) = only_s3
            .into_iter()
            .find(|variable| values.given(variable).is_some())
        {
            return Err(ConfigError::new(format!(
                "{} is set, but the store is {location}, which is not S3; unset it or name an s3:// store",
                values.origin(variable),
            )));
        }
        return Ok(S3Options::default());
    }
    let (access_key, secret_key) = (
        values.text(&table::S3_ACCESS_KEY),
        values.text(&table::S3_SECRET_KEY),
    );
    match (&access_key, &secret_key) {
        (Some(_), Some(_)) | (None, None) => {}
        (Some(_), None) => return Err(half_given(&table::S3_ACCESS_KEY, &table::S3_SECRET_KEY)),
        (None, Some(_)) => return Err(half_given(&table::S3_SECRET_KEY, &table::S3_ACCESS_KEY)),
    }
    let session_token = values.text(&table::S3_SESSION_TOKEN);
    if session_token.is_some() && access_key.is_none() {
        return Err(half_given(&table::S3_SESSION_TOKEN, &table::S3_ACCESS_KEY));
    }
    let endpoint = values.text(&table::S3_ENDPOINT);
    if let Some(endpoint) = &endpoint
        && !has_scheme(endpoint, "http")
        && !has_scheme(endpoint, "https")
    {
        return Err(ConfigError::new(format!(
            "{} is {endpoint:?}; it must begin with http:// or https://",
            values.origin(&table::S3_ENDPOINT)
        )));
    }
    let path_style = values
        .given(&table::S3_PATH_STYLE)
        .map(|_| values.flag(&table::S3_PATH_STYLE));
    Ok(S3Options {
        endpoint,
        path_style,
        access_key,
        secret_key,
        session_token,
        region: values.text(&table::S3_REGION),
        kms_key_arn: values.text(&table::S3_KMS_ARN),
        anonymous: false,
    })
}

fn half_given(given: &Variable, missing: &Variable) -> ConfigError {
    ConfigError::new(format!(
        "{} is set but {} is not; set both or neither",
        given.name, missing.name
    ))
}

//! An S3 server inside the process: exercises the S3 client's requests, signing and error handling without a socket.
//!
//! It speaks what the store uses: PUT with `If-None-Match: *`, GET and HEAD with ranges, DELETE, bulk delete and
//! ListObjectsV2 with pages, delimiter and start-after. Bodies are checked against their `x-amz-content-sha256` only in that the
//! header must be there; the signature must be there and name the access key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::{ClientOptions, ObjectStore};
use parking_lot::Mutex;
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use url::form_urlencoded;

use crate::clock::Clock;
use crate::error::Result;
use crate::store::{S3Options, StoreSettings, s3};

const ACCESS_KEY: &str = "EMULATOR";

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// The request is answered with this status and S3 error code and has no effect.
    Refuse(u16, &'static str),
    /// The request takes effect and is answered with this status and S3 error code.
    RefuseAfter(u16, &'static str),
    /// The connection breaks before the request takes effect.
    Break,
    /// The request takes effect, then the connection breaks.
    BreakAfter,
    /// There is never an answer, nor an effect.
    Hang,
    /// The response's body ends after so many bytes, although its length says otherwise.
    CutBody(usize),
}

#[derive(Clone, Debug)]
struct HttpRule {
    method: &'static str,
    key_contains: String,
    skip: u64,
    times: u64,
    fault: HttpFault,
}

#[derive(Clone, Debug)]
struct Object {
    body: Bytes,
    written_ms: i64,
}

#[derive(Debug, Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    rules: Vec<HttpRule>,
    requests: Vec<(String, String)>,
}

/// The server, with one bucket. Clones are the same server.
#[derive(Clone, Debug)]
pub struct S3Emulator {
    bucket: Arc<Mutex<Bucket>>,
    clock: Arc<dyn Clock>,
    name: String,
    page: usize,
}

impl S3Emulator {
    /// A server with an empty bucket called `name`, whose listings have `page` keys a page.
    pub fn new(name: &str, page: usize, clock: Arc<dyn Clock>) -> S3Emulator {
        S3Emulator {
            bucket: Arc::default(),
            clock,
            name: name.to_owned(),
            page: page.max(1),
        }
    }

    /// A client of the bucket, made as that of a real one; all keys begin with `prefix`.
    ///
    /// # Errors
    /// When the client cannot be built from the settings.
    pub fn objects(&self, prefix: &str, settings: &StoreSettings) -> Result<Arc<dyn ObjectStore>> {
        let options = S3Options {
            endpoint: Some("http://s3.emulator".to_owned()),
            access_key: Some(ACCESS_KEY.to_owned()),
            secret_key: Some("secret".to_owned()),
            ..S3Options::default()
        };
        let builder = s3::configure(AmazonS3Builder::new(), &self.name, &options, settings)?;
        s3::finish(builder.with_http_connector(self.clone()), &self.name, prefix)
    }

    /// `fault` for `times` requests of `method` whose key contains `part`, after the first `skip`.
    pub fn fault(&self, fault: HttpFault, method: &'static str, part: &str, skip: u64, times: u64) {
        let rule = HttpRule {
            method,
            key_contains: part.to_owned(),
            skip,
            times,
            fault,
        };
        self.bucket.lock().rules.push(rule);
    }

    /// The methods and keys of all requests so far.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.bucket.lock().requests.clone()
    }

    /// How many requests of `method` came so far.
    pub fn count(&self, method: &str) -> usize {
        self.bucket
            .lock()
            .requests
            .iter()
            .filter(|(seen, _)| seen == method)
            .count()
    }

    fn strike(&self, method: &str, key: &str) -> Option<HttpFault> {
        let mut bucket = self.bucket.lock();
        bucket.requests.push((method.to_owned(), key.to_owned()));
        for rule in &mut bucket.rules {
            if rule.method != method || !key.contains(&rule.key_contains) || rule.times == 0 {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some(rule.fault);
        }
        None
    }

    fn answer(&self, request: &Request) -> HttpResponse {
        if !request.signed {
            return refusal(403, "AccessDenied");
        }
        if request.bucket != self.name {
            return refusal(404, "NoSuchBucket");
        }
        match (request.method.as_str(), request.key.is_empty()) {
            ("PUT", false) => self.put(request),
            ("GET" | "HEAD", false) => self.get(request),
            ("DELETE", false) => {
                self.bucket.lock().objects.remove(&request.key);
                response(204, Bytes::new())
            }
            ("GET", true) if request.query("list-type") == Some("2") => self.list(request),
            ("POST", true) if request.query("delete").is_some() => self.delete_many(request),
            _ => refusal(501, "NotImplemented"),
        }
    }

    fn put(&self, request: &Request) -> HttpResponse {
        let mut bucket = self.bucket.lock();
        match request.if_none_match.as_deref() {
            Some("*") if bucket.objects.contains_key(&request.key) => {
                return refusal(412, "PreconditionFailed");
            }
            Some("*") | None => {}
            Some(_) => return refusal(501, "NotImplemented"),
        }
        let object = Object {
            body: request.body.clone(),
            written_ms: self.clock.unix_ms(),
        };
        let etag = etag(&object.body);
        bucket.objects.insert(request.key.clone(), object);
        with_header(response(200, Bytes::new()), "etag", &etag)
    }

    fn get(&self, request: &Request) -> HttpResponse {
        let Some(object) = self.bucket.lock().objects.get(&request.key).cloned() else {
            return refusal(404, "NoSuchKey");
        };
        let size = object.body.len() as u64;
        let mut answer = match request.range.as_deref().map(|text| parse_range(text, size)) {
            None => response(200, object.body.clone()),
            Some(Some(range)) => {
                let (start, end) = (range.start as usize, range.end as usize);
                let part = response(206, object.body.slice(start..end));
                with_header(
                    part,
                    "content-range",
                    &format!("bytes {start}-{}/{size}", end - 1),
                )
            }
            Some(None) => return refusal(416, "InvalidRange"),
        };
        if request.method == "HEAD" {
            *answer.body_mut() = Bytes::new().into();
        }
        let answer = with_header(answer, "etag", &etag(&object.body));
        with_header(answer, "last-modified", &http_date(object.written_ms))
    }

    fn list(&self, request: &Request) -> HttpResponse {
        let prefix = request.query("prefix").unwrap_or_default();
        let delimiter = request.query("delimiter").unwrap_or_default();
        let after = request
            .query("continuation-token")
            .or(request.query("start-after"))
            .unwrap_or_default();
        let bucket = self.bucket.lock();
        let (mut contents, mut dirs, mut last) = (String::new(), BTreeSet::new(), None);
        let mut truncated = false;
        let mut listed = 0;
        for (key, object) in bucket.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let rest = &key[prefix.len()..];
            let dir = (!delimiter.is_empty())
                .then(|| rest.split_once(delimiter))
                .flatten();
            let entry = match dir {
                Some((name, _)) => format!("{prefix}{name}{delimiter}"),
                None => key.clone(),
            };
            // A token is the last entry of the page before: keys inside a common prefix do not come again.
            if entry.as_str() <= after || dirs.contains(&entry) {
                continue;
            }
            if listed == self.page {
                truncated = true;
                break;
            }
            listed += 1;
            last = Some(entry.clone());
            if dir.is_some() {
                dirs.insert(entry);
            } else {
                contents.push_str(&format!(
                    "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                    escape(key),
                    iso_date(object.written_ms),
                    escape(&etag(&object.body)),
                    object.body.len()
                ));
            }
        }
        let dirs: String = dirs
            .iter()
            .map(|dir| {
                format!(
                    "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                    escape(dir)
                )
            })
            .collect();
        let token = last.filter(|_| truncated).map(|token| {
            format!(
                "<NextContinuationToken>{}</NextContinuationToken>",
                escape(&token)
            )
        });
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><IsTruncated>{truncated}</IsTruncated>\
             {contents}{dirs}{}</ListBucketResult>",
            token.unwrap_or_default()
        );
        response(200, xml.into())
    }

    fn delete_many(&self, request: &Request) -> HttpResponse {
        let text = String::from_utf8_lossy(&request.body);
        let mut bucket = self.bucket.lock();
        let mut deleted = String::new();
        for part in text.split("<Key>").skip(1) {
            let Some((key, _)) = part.split_once("</Key>") else {
                return refusal(400, "MalformedXML");
            };
            bucket.objects.remove(&unescape(key));
            deleted.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
        }
        response(
            200,
            format!("<?xml version=\"1.0\"?><DeleteResult>{deleted}</DeleteResult>").into(),
        )
    }
}

impl HttpConnector for S3Emulator {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for S3Emulator {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let request = Request::read(request).await?;
        match self.strike(&request.method, &request.key) {
            None => Ok(self.answer(&request)),
            Some(HttpFault::Refuse(status, code)) => Ok(refusal(status, code)),
            Some(HttpFault::RefuseAfter(status, code)) => {
                self.answer(&request);
                Ok(refusal(status, code))
            }
            Some(HttpFault::Break) => Err(broken()),
            Some(HttpFault::BreakAfter) => {
                self.answer(&request);
                Err(broken())
            }
            Some(HttpFault::Hang) => std::future::pending().await,
            Some(HttpFault::CutBody(keep)) => {
                let (parts, body) = self.answer(&request).into_parts();
                let mut body = body.bytes().await?;
                body.truncate(keep);
                Ok(HttpResponse::from_parts(parts, body.into()))
            }
        }
    }
}

fn broken() -> HttpError {
    HttpError::new(
        HttpErrorKind::Interrupted,
        std::io::Error::from(std::io::ErrorKind::ConnectionReset),
    )
}

/// What of a request matters here.
struct Request {
    method: String,
    bucket: String,
    key: String,
    query: Vec<(String, String)>,
    range: Option<String>,
    if_none_match: Option<String>,
    signed: bool,
    body: Bytes,
}

impl Request {
    async fn read(request: HttpRequest) -> std::result::Result<Request, HttpError> {
        let (parts, body) = request.into_parts();
        let path = percent_decode(parts.uri.path().trim_start_matches('/'));
        let (bucket, key) = path.split_once('/').unwrap_or((path.as_str(), ""));
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let credential = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/");
        let signed = header("authorization").is_some_and(|value| value.starts_with(&credential))
            && header("x-amz-content-sha256").is_some();
        Ok(Request {
            method: parts.method.to_string(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            query,
            range: header("range"),
            if_none_match: header("if-none-match"),
            signed,
            // A request's body can only be read as that of a response.
            body: HttpResponseBody::new(body).bytes().await?,
        })
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

fn response(status: u16, body: Bytes) -> HttpResponse {
    let length = body.len().to_string();
    let mut response = HttpResponse::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with_header(response, "content-length", &length)
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let xml = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    response(status, xml.into())
}

fn with_header(mut response: HttpResponse, name: &'static str, value: &str) -> HttpResponse {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    response
}

fn etag(body: &[u8]) -> String {
    format!("\"{:08x}\"", crc32c::crc32c(body))
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n` of an object of `size` bytes; `None` when nothing of it is there.
fn parse_range(text: &str, size: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = if first.is_empty() {
        size.saturating_sub(last.parse().ok()?)..size
    } else {
        let end = if last.is_empty() {
            size
        } else {
            last.parse::<u64>().ok()?.checked_add(1)?.min(size)
        };
        first.parse().ok()?..end
    };
    (range.start < range.end).then_some(range)
}

fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16)).unwrap_or(0);
        let (high, low) = (digit(bytes.next()), digit(bytes.next()));
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// Year, month, day of a count of days since 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let mut year = 1970;
    let mut left = days;
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    while left >= 365 + i64::from(leap(year)) {
        left -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + i64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

fn iso_date(unix_ms: i64) -> String {
    let seconds = Duration::from_millis(unix_ms.max(0) as u64).as_secs() as i64;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let ms = unix_ms.max(0) % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

fn http_date(unix_ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = unix_ms.max(0) / 1000;
    let days = seconds / 86_400;
    let (year, month, day) = civil(days);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[(month - 1) as usize]);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests;

//! What the proxy remembers of a request, and what kind of S3 request it is: told from method, path,
//! query and headers alone, for path-style addresses. It changes nothing. Counting is here too.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

/// Of a longer body only this much is remembered.
const BODY_KEPT: usize = 16 * 1024 * 1024;

/// The S3 operation a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    /// ListObjects, ListObjectsV2, ListObjectVersions.
    List,
    /// GetObject.
    Get,
    /// HeadObject.
    Head,
    /// PutObject.
    Put,
    /// CopyObject, and UploadPartCopy.
    Copy,
    /// DeleteObject.
    Delete,
    /// DeleteObjects.
    DeleteMany,
    /// CreateMultipartUpload.
    MultipartCreate,
    /// UploadPart.
    MultipartPart,
    /// CompleteMultipartUpload.
    MultipartComplete,
    /// AbortMultipartUpload.
    MultipartAbort,
    /// ListBuckets.
    ListBuckets,
    /// CreateBucket.
    CreateBucket,
    /// HeadBucket.
    HeadBucket,
    /// DeleteBucket.
    DeleteBucket,
    /// A subresource (versioning, location, tagging, ...), or no S3 at all.
    Other,
}

/// Query parameters that address something else than the object or the listing itself.
const SUBRESOURCES: [&str; 16] = [
    "accelerate",
    "acl",
    "attributes",
    "cors",
    "encryption",
    "lifecycle",
    "location",
    "object-lock",
    "policy",
    "replication",
    "retention",
    "tagging",
    "torrent",
    "uploads",
    "versioning",
    "website",
];

impl Op {
    fn of(
        method: &Method,
        bucket: &str,
        key: &str,
        query: &[(String, String)],
        headers: &HeaderMap,
    ) -> Self {
        let asks = |name: &str| query.iter().any(|(asked, _)| asked == name);
        if method == Method::POST && asks("uploads") {
            return Self::MultipartCreate;
        }
        if SUBRESOURCES.iter().any(|name| asks(name)) {
            return Self::Other;
        }
        match (method.as_str(), bucket.is_empty(), key.is_empty()) {
            ("GET", true, _) => Self::ListBuckets,
            ("GET", false, true) => Self::List,
            ("HEAD", false, true) => Self::HeadBucket,
            ("PUT", false, true) => Self::CreateBucket,
            ("DELETE", false, true) => Self::DeleteBucket,
            ("POST", false, true) if asks("delete") => Self::DeleteMany,
            ("GET", _, false) if !asks("uploadId") => Self::Get,
            ("HEAD", _, false) => Self::Head,
            ("PUT", _, false) if headers.contains_key("x-amz-copy-source") => Self::Copy,
            ("PUT", _, false) if asks("uploadId") => Self::MultipartPart,
            ("PUT", _, false) => Self::Put,
            ("POST", _, false) if asks("uploadId") => Self::MultipartComplete,
            ("DELETE", _, false) if asks("uploadId") => Self::MultipartAbort,
            ("DELETE", _, false) => Self::Delete,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::List => "LIST",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Copy => "COPY",
            Self::Delete => "DELETE",
            Self::DeleteMany => "DELETE MANY",
            Self::MultipartCreate => "MULTIPART CREATE",
            Self::MultipartPart => "MULTIPART PART",
            Self::MultipartComplete => "MULTIPART COMPLETE",
            Self::MultipartAbort => "MULTIPART ABORT",
            Self::ListBuckets => "LIST BUCKETS",
            Self::CreateBucket => "CREATE BUCKET",
            Self::HeadBucket => "HEAD BUCKET",
            Self::DeleteBucket => "DELETE BUCKET",
            Self::Other => "OTHER",
        })
    }
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// What it asks for.
    pub(crate) op: Op,
    /// The bucket; empty when it names none.
    pub(crate) bucket: String,
    /// The key, decoded; empty when it names none.
    pub(crate) key: String,
    /// The query, decoded, in the order sent.
    pub(crate) query: Vec<(String, String)>,
    /// The request's headers.
    pub(crate) headers: HeaderMap,
    /// The length of the request's body as sent.
    pub(crate) sent: usize,
    /// The length of the last reply's body, as the server sent it.
    pub(crate) received: usize,
    /// What the server answered; one status for each time it was asked.
    pub(crate) upstream: Vec<u16>,
    /// What the client was told; `None` when nothing, or nothing yet.
    pub(crate) status: Option<u16>,
    /// The fault that was injected.
    pub(crate) fault: Option<String>,
    /// The proxy is through with it.
    pub(crate) done: bool,
    body: Bytes,
}

impl Record {
    pub(super) fn new(parts: &Parts, body: &Bytes) -> Self {
        let path = parts.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let (bucket, key) = (decoded(bucket), decoded(key));
        let query: Vec<_> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        Self {
            op: Op::of(&parts.method, &bucket, &key, &query, &parts.headers),
            bucket,
            key,
            query,
            headers: parts.headers.clone(),
            sent: body.len(),
            received: 0,
            upstream: Vec::new(),
            status: None,
            fault: None,
            done: false,
            body: payload(&parts.headers, body),
        }
    }

    /// The object's bytes in the request (chunk signatures removed), at most 16 MiB of them, lossily
    /// as text.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The object's bytes in the request (chunk signatures removed), at most 16 MiB of them.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// A header of the request.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the key ends with six lower-case letters. One time in two hundred mkstemp(3) chooses no others
    /// for a temporary file, and that may as well be a word: the mount takes it for a key (W9).
    pub(crate) fn ends_with_a_word(&self) -> bool {
        let end = self.key.len().checked_sub(6);
        let end = end.and_then(|at| self.key.get(at..));
        end.is_some_and(|end| end.bytes().all(|byte| byte.is_ascii_lowercase()))
    }

    /// If-Match.
    pub(crate) fn if_match(&self) -> Option<&str> {
        self.header("if-match")
    }

    /// If-None-Match.
    pub(crate) fn if_none_match(&self) -> Option<&str> {
        self.header("if-none-match")
    }

    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(asked, _)| asked == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.op, self.bucket, self.key)?;
        for (name, value) in self.query.iter().filter(|(name, _)| name != "x-id") {
            write!(f, " {name}={value}")?;
        }
        for name in ["if-match", "if-none-match", "range", "x-amz-copy-source"] {
            if let Some(value) = self.header(name) {
                write!(f, " [{name}: {value}]")?;
            }
        }
        match self.status {
            Some(status) => write!(f, " -> {status}")?,
            None => write!(f, " -> nothing")?,
        }
        if let Some(fault) = &self.fault {
            write!(f, " ({fault}; the server said {:?})", self.upstream)?;
        }
        Ok(())
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The object's bytes: without the framing of `Content-Encoding: aws-chunked`, which is
/// `SIZE-IN-HEX[;chunk-signature=..]\r\n BYTES \r\n`, ended by a chunk of size 0 and trailers.
fn payload(headers: &HeaderMap, body: &Bytes) -> Bytes {
    let kept = |bytes: &[u8]| Bytes::copy_from_slice(&bytes[..bytes.len().min(BODY_KEPT)]);
    if !headers.contains_key("x-amz-decoded-content-length") {
        return kept(body);
    }
    let mut bytes = Vec::new();
    let mut rest: &[u8] = body;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = line.split(';').next().unwrap_or_default();
        let from = end + 2;
        match usize::from_str_radix(size, 16) {
            Ok(size) if size > 0 && from + size + 2 <= rest.len() => {
                bytes.extend_from_slice(&rest[from..from + size]);
                rest = &rest[from + size + 2..];
            }
            _ => break,
        }
    }
    kept(&bytes)
}

/// A part of the log.
#[derive(Clone, Debug)]
pub(crate) struct Log(pub(crate) Vec<Record>);

impl Log {
    /// The requests of this kind.
    pub(crate) fn of(&self, op: Op) -> Vec<Record> {
        self.0
            .iter()
            .filter(|record| record.op == op)
            .cloned()
            .collect()
    }

    /// The requests for this key.
    pub(crate) fn key(&self, key: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|record| record.key == key)
                .cloned()
                .collect(),
        )
    }

    /// How many there are of each kind.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = BTreeMap::new();
        for record in &self.0 {
            *counts.entry(record.op).or_default() += 1;
        }
        Counts(counts)
    }
}

/// One request a line.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|record| writeln!(f, "{record}"))
    }
}

/// How many requests there were of each kind. `{}` is a table, [`Counts::line`] fits an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<Op, usize>);

impl Counts {
    /// How many of this kind.
    pub(crate) fn of(&self, op: Op) -> usize {
        self.0.get(&op).copied().unwrap_or(0)
    }

    /// Every kind there was, and how many of it.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Op, usize)> + '_ {
        self.0.iter().map(|(op, count)| (*op, *count))
    }

    /// How many in all.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// `GET 1, PUT 2`, kinds in the order of [`Op`]; empty when there was none.
    pub(crate) fn line(&self) -> String {
        let each: Vec<_> = self
            .0
            .iter()
            .map(|(op, count)| format!("{op} {count}"))
            .collect();
        each.join(", ")
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(op, count)| writeln!(f, "{op:<20}{count:>6}"))?;
        writeln!(f, "{:<20}{:>6}", "total", self.total())
    }
}

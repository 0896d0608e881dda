//! Listings of a bucket, in both versions of the request.
//!
//! It translates between S3's parameters and [`crate::listing`], which does the work.
//! A page ends with an item, and the next begins after that item's name: version 1 says so in plain
//! text, version 2 in a token that is the same name in hexadecimal.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::attributes::etag;
use super::errors::refused;
use super::timestamp;
use crate::listing::{self, Item, Page, Query};
use crate::storage::{self, Storage};

/// The most items of a page, whatever a client asks for.
const MAX_KEYS: i32 = 1000;

/// What `encoding-type=url` leaves as it is. A space is `%20` and a plus is `%2B`, which clients
/// that decode forms and clients that decode URLs both understand.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// How names are written into an answer.
#[derive(Clone, Copy)]
pub(super) struct Encoding {
    url: bool,
}

impl Encoding {
    /// As the request asks.
    pub(super) fn of(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(
                InvalidArgument,
                "Invalid Encoding Method specified in Request"
            )),
        }
    }

    /// The name as it goes into the answer.
    pub(super) fn write(self, name: String) -> String {
        if self.url {
            utf8_percent_encode(&name, PLAIN).to_string()
        } else {
            name
        }
    }
}

fn limit(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(MAX_KEYS) {
        negative if negative < 0 => {
            Err(s3_error!(InvalidArgument, "max-keys must not be negative"))
        }
        asked => Ok(asked.min(MAX_KEYS)),
    }
}

/// What a listing asks for, owned.
struct Asked {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    after: Option<String>,
    limit: i32,
}

async fn page(storage: &Storage, asked: Asked) -> S3Result<Page<storage::Object>> {
    storage
        .read(move |snapshot| {
            let mut keys = snapshot.objects(&asked.bucket)?;
            let query = Query {
                prefix: &asked.prefix,
                delimiter: asked.delimiter.as_deref(),
                after: asked.after.as_deref(),
                limit: usize::try_from(asked.limit).unwrap_or(0),
            };
            listing::page(&mut keys, query)
        })
        .await
        .map_err(refused)
}

/// The items of a page, as S3 separates them.
fn split(page: Page<storage::Object>, encoding: Encoding) -> (ObjectList, CommonPrefixList) {
    let (mut contents, mut prefixes) = (ObjectList::new(), CommonPrefixList::new());
    for item in page.items {
        match item {
            Item::Prefix(prefix) => {
                prefixes.push(CommonPrefix {
                    prefix: Some(encoding.write(prefix)),
                });
            }
            Item::Key(key, object) => contents.push(Object {
                key: Some(encoding.write(key)),
                e_tag: Some(etag(&object.content.etag)),
                size: i64::try_from(object.content.size).ok(),
                last_modified: Some(timestamp(object.content.modified)),
                storage_class: Some(ObjectStorageClass::from_static(
                    ObjectStorageClass::STANDARD,
                )),
                ..Default::default()
            }),
        }
    }
    (contents, prefixes)
}

fn last_name(page: &Page<storage::Object>) -> Option<String> {
    page.items
        .last()
        .filter(|_| page.truncated)
        .map(|item| item.name().to_owned())
}

/// `list-type=2`.
pub(super) async fn v2(
    storage: &Storage,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => Some(read_token(token)?),
        None => input.start_after.clone(),
    };
    let asked = Asked {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after,
        limit,
    };
    let page = page(storage, asked).await?;
    let next = last_name(&page).map(hex::encode);
    let truncated = page.truncated;
    let (contents, prefixes) = split(page, encoding);
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|d| encoding.write(d)),
        start_after: input.start_after.map(|s| encoding.write(s)),
        max_keys: Some(limit),
        key_count: i32::try_from(contents.len() + prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(truncated),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

fn read_token(token: &str) -> S3Result<String> {
    let bytes = hex::decode(token).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    })
}

/// The first version of the request.
pub(super) async fn v1(
    storage: &Storage,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys)?;
    let asked = Asked {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: input.marker.clone(),
        limit,
    };
    let page = page(storage, asked).await?;
    // S3 gives a next marker only with a delimiter; without one it is the last key.
    let next = last_name(&page).filter(|_| input.delimiter.is_some());
    let truncated = page.truncated;
    let (contents, prefixes) = split(page, encoding);
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|d| encoding.write(d)),
        marker: Some(encoding.write(input.marker.unwrap_or_default())),
        max_keys: Some(limit),
        is_truncated: Some(truncated),
        next_marker: next.map(|n| encoding.write(n)),
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

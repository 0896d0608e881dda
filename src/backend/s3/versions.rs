//! The versions that a versioned bucket keeps of an object.
//!
//! One ListObjectVersions for every thousand of them. How one is read is in `read.rs`.

use std::cmp::Reverse;

use aws_sdk_s3::types::EncodingType;
use futures_util::TryFutureExt;

use super::S3;
use super::failure::RequestFailure;
use super::info::seconds;
use super::list::{Whole, name, until_whole};
use crate::backend::pages::Progress;
use crate::backend::{Error, ObjectKey, ObjectVersion};
use crate::model::Version;

impl S3 {
    /// [`crate::backend::Backend::versions`].
    pub(super) async fn kept(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        let mut kept = Vec::new();
        let mut after: Option<(String, Option<String>)> = None;
        let mut progress = Progress::new(self.what(at), self.listing_memory);
        loop {
            let (key, snapshot) = after.take().unzip();
            let request = self
                .reads
                .list_object_versions()
                .bucket(&self.bucket)
                .encoding_type(EncodingType::Url)
                .prefix(at.as_str())
                .set_key_marker(key)
                .set_version_id_marker(snapshot.flatten());
            let send = || {
                let request = request.clone().customize();
                let sending = request.interceptor(Whole("ListVersionsResult")).send();
                sending.map_err(|error| RequestFailure::of(error, true))
            };
            let page = until_whole(send)
                .await
                .map_err(|failure| failure.of_read(self.what(at), &self.bucket, self.deadlines))?;
            let encoded = page.encoding_type() == Some(&EncodingType::Url);
            let decoded = |key: Option<&str>| key.and_then(|key| name(key, encoded));
            let is_this = |key: Option<&str>| decoded(key).as_deref() == Some(at.as_str());
            for found in page.versions().iter().filter(|found| is_this(found.key())) {
                let snapshot = found.version_id().unwrap_or("null").to_owned();
                // A version without one would be taken for a deletion.
                let version = found.e_tag().and_then(Version::told);
                let version = version.ok_or_else(|| Error::Corrupt {
                    what: self.what(at),
                    why: format!("its version {snapshot} has no ETag"),
                })?;
                let version = Some(version.with_snapshot(Some(snapshot.clone())));
                let size = found.size().and_then(|size| u64::try_from(size).ok());
                kept.push(ObjectVersion {
                    snapshot,
                    version,
                    size: size.unwrap_or_default(),
                    modified: found.last_modified().map_or(std::time::UNIX_EPOCH, seconds),
                    newest: found.is_latest().unwrap_or_default(),
                });
            }
            let deleted = page.delete_markers().iter();
            for found in deleted.filter(|found| is_this(found.key())) {
                kept.push(ObjectVersion {
                    snapshot: found.version_id().unwrap_or("null").to_owned(),
                    version: None,
                    size: 0,
                    modified: found.last_modified().map_or(std::time::UNIX_EPOCH, seconds),
                    newest: found.is_latest().unwrap_or_default(),
                });
            }
            // Names are in order: behind this one are only longer ones.
            let more = page.is_truncated().unwrap_or_default();
            if !more || !is_this(page.next_key_marker()) {
                break;
            }
            let snapshot = page.next_version_id_marker();
            let names = page
                .versions()
                .iter()
                .filter_map(|found| found.version_id());
            let deleted = page.delete_markers().iter();
            let names = names.chain(deleted.filter_map(|found| found.version_id()));
            progress.page(names, snapshot.or(Some("")))?;
            after = Some((at.as_str().to_owned(), snapshot.map(str::to_owned)));
        }
        // Versions and deletions come in two lists, each newest first.
        kept.sort_by_key(|kept| Reverse((kept.newest, kept.modified)));
        Ok(kept)
    }
}

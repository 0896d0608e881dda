//! One committed state of the index, as a reader sees it.
//!
//! It changes nothing and is not changed by later commits; bodies that a reader goes on to stream
//! are leased from it. Read [`super::index`] for the tables, [`super::super::listing`] for what
//! a [`Cursor`] is for.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::Refusal;
use super::blobs::{Blobs, Lease};
use super::index::{
    BODIES, BUCKETS, OBJECTS, PARTS, SUMS, UPLOADS, bucket_end, bucket_start, object_key,
};
use super::record::{self, Bucket, Object, Part, Segment, Upload};
use super::sums::Sums;

/// A read transaction.
pub(crate) struct Snapshot {
    tx: ReadTransaction,
    blobs: Arc<Blobs>,
}

impl Snapshot {
    pub(super) fn begin(db: &Database, blobs: &Arc<Blobs>) -> Result<Self, Refusal> {
        Ok(Self {
            tx: db.begin_read()?,
            blobs: Arc::clone(blobs),
        })
    }

    /// Every bucket, by name.
    pub(crate) fn buckets(&self) -> Result<Vec<(String, Bucket)>, Refusal> {
        let table = self.tx.open_table(BUCKETS)?;
        let mut buckets = Vec::new();
        for row in table.iter()? {
            let (name, bucket) = row?;
            buckets.push((name.value().to_owned(), record::decode(bucket.value())?));
        }
        Ok(buckets)
    }

    /// The bucket, or a refusal.
    pub(crate) fn bucket(&self, name: &str) -> Result<Bucket, Refusal> {
        let table = self.tx.open_table(BUCKETS)?;
        let row = table.get(name)?.ok_or(Refusal::NoSuchBucket)?;
        record::decode(row.value())
    }

    /// The object, or a refusal that tells a missing bucket from a missing key.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Result<Object, Refusal> {
        let table = self.tx.open_table(OBJECTS)?;
        match table.get(object_key(bucket, key).as_slice())? {
            Some(row) => record::decode(row.value()),
            None => {
                self.bucket(bucket)?;
                Err(Refusal::NoSuchKey)
            }
        }
    }

    /// The checksums of a body file; `None` for one that an earlier version stored.
    pub(crate) fn sums(&self, id: u64) -> Result<Option<Sums>, Refusal> {
        let table = self.tx.open_table(SUMS)?;
        Ok(table.get(id)?.map(|row| Sums::new(row.value())))
    }

    /// The bytes of a body in the index.
    pub(crate) fn body(&self, id: u64) -> Result<Vec<u8>, Refusal> {
        let table = self.tx.open_table(BODIES)?;
        let row = table
            .get(id)?
            .ok_or_else(|| Refusal::broken("a body is missing"))?;
        Ok(row.value().to_vec())
    }

    /// Keeps the files behind these segments for as long as the lease lives.
    pub(crate) fn lease(&self, segments: &[Segment]) -> Lease {
        let ids: BTreeSet<u64> = segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Blob { id, .. } => Some(*id),
                Segment::Inline { .. } => None,
            })
            .collect();
        self.blobs.lease(ids.into_iter().collect())
    }

    /// A cursor over the objects of a bucket, in the order of their keys' bytes.
    pub(crate) fn objects(&self, bucket: &str) -> Result<Cursor, Refusal> {
        self.bucket(bucket)?;
        Ok(Cursor {
            table: self.tx.open_table(OBJECTS)?,
            bucket: bucket.to_owned(),
            rows: None,
        })
    }

    /// The upload, if it is one of this bucket and key.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, Refusal> {
        self.bucket(bucket)?;
        let table = self.tx.open_table(UPLOADS)?;
        let row = table.get(id)?.ok_or(Refusal::NoSuchUpload)?;
        let upload: Upload = record::decode(row.value())?;
        if upload.bucket == bucket && upload.key == key {
            Ok(upload)
        } else {
            Err(Refusal::NoSuchUpload)
        }
    }

    /// Every upload of a bucket with its id, by key and then by id.
    pub(crate) fn uploads(&self, bucket: &str) -> Result<Vec<(String, Upload)>, Refusal> {
        self.bucket(bucket)?;
        let table = self.tx.open_table(UPLOADS)?;
        let mut uploads: Vec<(String, Upload)> = Vec::new();
        for row in table.iter()? {
            let (id, upload) = row?;
            let upload: Upload = record::decode(upload.value())?;
            if upload.bucket == bucket {
                uploads.push((id.value().to_owned(), upload));
            }
        }
        uploads.sort_by(|a, b| (&a.1.key, &a.0).cmp(&(&b.1.key, &b.0)));
        Ok(uploads)
    }

    /// The parts of an upload after number `after`, by number.
    pub(crate) fn parts(&self, upload: &str, after: u32) -> Result<Vec<(u32, Part)>, Refusal> {
        let table = self.tx.open_table(PARTS)?;
        let mut parts = Vec::new();
        for row in table.range((upload, after.saturating_add(1))..=(upload, u32::MAX))? {
            let (at, part) = row?;
            parts.push((at.value().1, record::decode(part.value())?));
        }
        Ok(parts)
    }
}

/// A position in a bucket that can jump forward.
pub(crate) struct Cursor {
    table: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    bucket: String,
    rows: Option<redb::Range<'static, &'static [u8], &'static [u8]>>,
}

impl crate::listing::Ordered for Cursor {
    type Value = Object;
    type Error = Refusal;

    fn seek(&mut self, from: Bound<&[u8]>) -> Result<(), Refusal> {
        let place = |key: &[u8]| [bucket_start(&self.bucket).as_slice(), key].concat();
        let start = match from {
            Bound::Included(key) => Bound::Included(place(key)),
            Bound::Excluded(key) => Bound::Excluded(place(key)),
            Bound::Unbounded => Bound::Included(bucket_start(&self.bucket)),
        };
        let end = bucket_end(&self.bucket);
        let range = (
            start.as_ref().map(Vec::as_slice),
            Bound::Excluded(end.as_slice()),
        );
        self.rows = Some(self.table.range::<&[u8]>(range)?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(String, Object)>, Refusal> {
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        let Some(row) = rows.next() else {
            return Ok(None);
        };
        let (key, object) = row?;
        let key = &key.value()[self.bucket.len() + 1..];
        let key = std::str::from_utf8(key)
            .map_err(Refusal::broken)?
            .to_owned();
        Ok(Some((key, record::decode(object.value())?)))
    }
}

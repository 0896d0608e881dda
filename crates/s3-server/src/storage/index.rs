//! The tables of the index, and what a write transaction can do with them.
//!
//! It knows no request: operations in [`super::super::s3`] combine these steps, checking before they
//! change. Objects are keyed by `bucket`, a zero byte, `key`: bucket names cannot hold a zero byte,
//! so the order is by bucket and then by the key's bytes, which is the order S3 lists in.
//! Read [`super::writer`] for when a transaction commits.

use std::collections::HashSet;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::Refusal;
use super::blobs::{Blobs, NewBlob};
use super::record::{self, Bucket, Object, Part, Segment, Upload};
use super::sums::sum;

/// Bucket name -> [`Bucket`].
pub(super) const BUCKETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("buckets");
/// [`object_key`] -> [`Object`].
pub(super) const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
/// Id -> bytes of a small body.
pub(super) const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
/// Id of a body file -> how many segments refer to it.
const BLOBS: TableDefinition<'_, u64, u32> = TableDefinition::new("blobs");
/// Id of a body file -> the checksums of its chunks, see [`super::sums`].
pub(super) const SUMS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sums");
/// Upload id -> [`Upload`].
pub(super) const UPLOADS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("uploads");
/// Upload id and part number -> [`Part`].
pub(super) const PARTS: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("parts");

/// Where an object stands.
pub(super) fn object_key(bucket: &str, key: &str) -> Vec<u8> {
    [bucket.as_bytes(), b"\0", key.as_bytes()].concat()
}

/// Where the objects of a bucket begin.
pub(super) fn bucket_start(bucket: &str) -> Vec<u8> {
    object_key(bucket, "")
}

/// Where they end, exclusively.
pub(super) fn bucket_end(bucket: &str) -> Vec<u8> {
    [bucket.as_bytes(), b"\x01"].concat()
}

/// Creates the tables if need be; returns the first id that was never used.
pub(super) fn create_tables(db: &Database) -> Result<u64, redb::Error> {
    let tx = db.begin_write()?;
    tx.open_table(BUCKETS)?;
    tx.open_table(OBJECTS)?;
    tx.open_table(UPLOADS)?;
    tx.open_table(PARTS)?;
    tx.open_table(SUMS)?;
    let bodies = tx
        .open_table(BODIES)?
        .last()?
        .map_or(0, |(id, _)| id.value() + 1);
    let blobs = tx
        .open_table(BLOBS)?
        .last()?
        .map_or(0, |(id, _)| id.value() + 1);
    tx.commit()?;
    Ok(bodies.max(blobs))
}

/// The ids of the body files that belong to the store.
pub(super) fn live_blobs(db: &Database) -> Result<HashSet<u64>, redb::Error> {
    let table = db.begin_read()?.open_table(BLOBS)?;
    table.iter()?.map(|row| Ok(row?.0.value())).collect()
}

/// An open write transaction.
pub(crate) struct Tx<'t> {
    blobs: &'t Arc<Blobs>,
    buckets: Table<'t, &'static str, &'static [u8]>,
    objects: Table<'t, &'static [u8], &'static [u8]>,
    bodies: Table<'t, u64, &'static [u8]>,
    counts: Table<'t, u64, u32>,
    sums: Table<'t, u64, &'static [u8]>,
    uploads: Table<'t, &'static str, &'static [u8]>,
    parts: Table<'t, (&'static str, u32), &'static [u8]>,
    dropped: Vec<u64>,
}

impl<'t> Tx<'t> {
    pub(super) fn open(tx: &'t WriteTransaction, blobs: &'t Arc<Blobs>) -> Result<Self, Refusal> {
        Ok(Self {
            blobs,
            buckets: tx.open_table(BUCKETS)?,
            objects: tx.open_table(OBJECTS)?,
            bodies: tx.open_table(BODIES)?,
            counts: tx.open_table(BLOBS)?,
            sums: tx.open_table(SUMS)?,
            uploads: tx.open_table(UPLOADS)?,
            parts: tx.open_table(PARTS)?,
            dropped: Vec::new(),
        })
    }

    /// Ends the work on the tables; returns the body files that nothing refers to any more.
    pub(super) fn close(self) -> Vec<u64> {
        self.dropped
    }

    /// Refuses when there is no such bucket.
    pub(crate) fn need_bucket(&self, name: &str) -> Result<(), Refusal> {
        self.buckets
            .get(name)?
            .map(|_| ())
            .ok_or(Refusal::NoSuchBucket)
    }

    /// Adds a bucket.
    pub(crate) fn create_bucket(&mut self, name: &str, now: i64) -> Result<(), Refusal> {
        if self.buckets.get(name)?.is_some() {
            return Err(Refusal::BucketExists);
        }
        let bucket = record::encode(&Bucket { created: now })?;
        self.buckets.insert(name, bucket.as_slice())?;
        Ok(())
    }

    /// Removes an empty bucket, with the uploads that were never completed.
    pub(crate) fn delete_bucket(&mut self, name: &str) -> Result<(), Refusal> {
        self.need_bucket(name)?;
        let (start, end) = (bucket_start(name), bucket_end(name));
        if self
            .objects
            .range(start.as_slice()..end.as_slice())?
            .next()
            .is_some()
        {
            return Err(Refusal::BucketNotEmpty);
        }
        let mut unfinished = Vec::new();
        for row in self.uploads.iter()? {
            let (id, upload) = row?;
            if record::decode::<Upload>(upload.value())?.bucket == name {
                unfinished.push(id.value().to_owned());
            }
        }
        for id in unfinished {
            self.drop_upload(&id, &HashSet::new())?;
        }
        self.buckets.remove(name)?;
        Ok(())
    }

    /// The object that stands there now.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Result<Option<Object>, Refusal> {
        match self.objects.get(object_key(bucket, key).as_slice())? {
            Some(row) => record::decode(row.value()).map(Some),
            None => Ok(None),
        }
    }

    /// Puts an object in the place of `replaced`, which is what [`Tx::object`] returned.
    pub(crate) fn put_object(
        &mut self,
        bucket: &str,
        key: &str,
        object: &Object,
        replaced: Option<&Object>,
    ) -> Result<(), Refusal> {
        let bytes = record::encode(object)?;
        self.objects
            .insert(object_key(bucket, key).as_slice(), bytes.as_slice())?;
        replaced.map_or(Ok(()), |old| self.release(&old.content.segments))
    }

    /// Removes the object that [`Tx::object`] returned.
    pub(crate) fn delete_object(
        &mut self,
        bucket: &str,
        key: &str,
        object: &Object,
    ) -> Result<(), Refusal> {
        self.objects.remove(object_key(bucket, key).as_slice())?;
        self.release(&object.content.segments)
    }

    /// Takes a small body into the index.
    pub(crate) fn add_inline(&mut self, bytes: &[u8]) -> Result<Segment, Refusal> {
        let id = self.blobs.next_id();
        self.bodies.insert(id, bytes)?;
        Ok(Segment::Inline {
            id,
            size: bytes.len() as u64,
            sum: Some(sum(bytes)),
        })
    }

    /// Takes a finished body file into the store.
    pub(crate) fn add_blob(&mut self, blob: NewBlob, size: u64) -> Result<Segment, Refusal> {
        let (id, sums) = blob.publish();
        self.counts.insert(id, 1)?;
        self.sums.insert(id, sums.as_slice())?;
        Ok(Segment::Blob { id, size })
    }

    /// Further references to the same bytes, for a copy: files are shared, small bodies doubled.
    pub(crate) fn share(&mut self, from: &[Segment]) -> Result<Vec<Segment>, Refusal> {
        let mut segments = Vec::with_capacity(from.len());
        for segment in from {
            segments.push(match *segment {
                Segment::Blob { id, .. } => {
                    let count = self.count(id)?;
                    self.counts.insert(id, count + 1)?;
                    *segment
                }
                Segment::Inline { id, .. } => {
                    let bytes = self.bodies.get(id)?.map(|row| row.value().to_vec());
                    let bytes = bytes.ok_or_else(|| Refusal::broken("a body is missing"))?;
                    self.add_inline(&bytes)?
                }
            });
        }
        Ok(segments)
    }

    /// Starts an upload under a fresh id.
    pub(crate) fn create_upload(&mut self, id: &str, upload: &Upload) -> Result<(), Refusal> {
        self.uploads
            .insert(id, record::encode(upload)?.as_slice())?;
        Ok(())
    }

    /// The upload, if it is one of this bucket and key.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, Refusal> {
        self.need_bucket(bucket)?;
        let row = self.uploads.get(id)?.ok_or(Refusal::NoSuchUpload)?;
        let upload: Upload = record::decode(row.value())?;
        if upload.bucket == bucket && upload.key == key {
            Ok(upload)
        } else {
            Err(Refusal::NoSuchUpload)
        }
    }

    /// A part of an upload.
    pub(crate) fn part(&self, id: &str, number: u32) -> Result<Option<Part>, Refusal> {
        match self.parts.get((id, number))? {
            Some(row) => record::decode(row.value()).map(Some),
            None => Ok(None),
        }
    }

    /// Adds a part, in the place of an earlier one of the same number.
    pub(crate) fn put_part(&mut self, id: &str, number: u32, part: &Part) -> Result<(), Refusal> {
        let replaced = self.part(id, number)?;
        self.parts
            .insert((id, number), record::encode(part)?.as_slice())?;
        replaced.map_or(Ok(()), |old| self.release(&old.segments))
    }

    /// Ends an upload; the bytes of the parts in `keep` go on in an object, the others are dropped.
    pub(crate) fn drop_upload(&mut self, id: &str, keep: &HashSet<u32>) -> Result<(), Refusal> {
        let mut numbers = Vec::new();
        for row in self.parts.range((id, 0)..=(id, u32::MAX))? {
            numbers.push(row?.0.value().1);
        }
        for number in numbers {
            let part = self.part(id, number)?;
            self.parts.remove((id, number))?;
            if let Some(part) = part.filter(|_| !keep.contains(&number)) {
                self.release(&part.segments)?;
            }
        }
        self.uploads.remove(id)?;
        Ok(())
    }

    fn count(&self, id: u64) -> Result<u32, Refusal> {
        let count = self.counts.get(id)?.map(|row| row.value());
        count.ok_or_else(|| Refusal::broken("a body is not counted"))
    }

    fn release(&mut self, segments: &[Segment]) -> Result<(), Refusal> {
        for segment in segments {
            match *segment {
                Segment::Inline { id, .. } => {
                    self.bodies.remove(id)?;
                }
                Segment::Blob { id, .. } => match self.count(id)? {
                    0 | 1 => {
                        self.counts.remove(id)?;
                        self.sums.remove(id)?;
                        self.dropped.push(id);
                    }
                    more => {
                        self.counts.insert(id, more - 1)?;
                    }
                },
            }
        }
        Ok(())
    }
}

//! Odd keys, odd names, odd sizes, odd moments: each is shown under the documented name, read, saved,
//! or refused with the documented error; none is hidden, and none ends the mount (V2, V3, R2, A5).

mod keys;
mod names;
mod readers;
mod sizes;
mod views;

use std::fmt::Debug;
use std::io;

use crate::world::mounts::{self, Mount, Mounted};
use crate::world::servers::{self, Bucket, Kind};

/// A new bucket of the embedded server, if something can be mounted here.
fn bucket() -> Result<Bucket, String> {
    bucket_of(Kind::Embedded)
}

fn bucket_of(kind: Kind) -> Result<Bucket, String> {
    mounts::possible()?;
    Ok(servers::shared(kind)?.bucket())
}

/// A mount of the objects of a bucket themselves.
fn flat(bucket: &Bucket) -> Mounted {
    Mount::of(bucket).flat().start()
}

/// The errno of a call that must fail.
#[track_caller]
fn errno<T: Debug>(result: io::Result<T>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

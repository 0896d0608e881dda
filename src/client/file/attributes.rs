//! What a file of a mount tells in its extended attributes: its version, and what travels with it (V5).
//!
//! It reads them from a descriptor, so that they are those of the version that it holds. `file.rs` sets
//! them.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::super::value::About;
use super::way::Way;
use crate::backend::Meta;
use crate::model::{ETAG_ATTRIBUTE, HEADER_ATTRIBUTES, META_ATTRIBUTES, Version};
use crate::store::Metadata;

/// What only a konserve store tells: the type of a value.
const KONSERVE_TYPE: &str = "user.konserve.type";

/// What is known of a file, of the version that this descriptor holds.
pub(super) fn about(file: &File) -> io::Result<About> {
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let version = attribute(file, ETAG_ATTRIBUTE)?.map(Version::new);
    let mut meta = Meta::default();
    if version.is_some() {
        for name in names(file)? {
            let Some(bare) = name.strip_prefix(HEADER_ATTRIBUTES) else {
                continue;
            };
            if let Some(header) = meta.header_mut(bare) {
                *header = attribute(file, &name)?;
            } else if let Some(user) = name.strip_prefix(META_ATTRIBUTES)
                && let Some(value) = attribute(file, &name)?
            {
                meta.user.insert(user.to_owned(), value);
            }
        }
    }
    Ok(About {
        version,
        size: Some(found.len()),
        modified: found.modified()?,
        metadata: Metadata {
            meta,
            ..Metadata::default()
        },
    })
}

/// Whether a file is a log of konserve, in a mount.
pub(super) fn is_log(way: &Way) -> bool {
    let told = way.attribute(KONSERVE_TYPE);
    told.is_ok_and(|told| told.as_deref() == Some(":append-log"))
}

fn attribute(file: impl AsFd, name: &str) -> io::Result<Option<String>> {
    // The longest possible value, see xattr(7).
    let mut value = Vec::with_capacity(64 << 10);
    match rustix::fs::fgetxattr(file, name, rustix::buffer::spare_capacity(&mut value)) {
        Ok(_) => Ok(String::from_utf8(value).ok()),
        // There is none, or there are none here.
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn names(file: impl AsFd) -> io::Result<Vec<String>> {
    let mut list = Vec::with_capacity(64 << 10);
    rustix::fs::flistxattr(file, rustix::buffer::spare_capacity(&mut list))?;
    let names = list.split(|byte| *byte == 0);
    Ok(names
        .filter_map(|name| Some(std::str::from_utf8(name).ok()?.to_owned()))
        .collect())
}

/// What travels with a value, as the attributes of its file.
pub(super) fn attributes(meta: &Meta) -> Vec<(String, String)> {
    let headers = meta.headers();
    let user = meta.user.iter();
    headers
        .map(|(name, value)| (format!("{HEADER_ATTRIBUTES}{name}"), value.to_owned()))
        .chain(user.map(|(name, value)| (format!("{META_ATTRIBUTES}{name}"), value.clone())))
        .collect()
}

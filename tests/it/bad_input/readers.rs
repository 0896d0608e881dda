//! Readers while the value changes under them: one handle, one version, to its last byte (R2).

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use super::{bucket, bucket_of, flat};
use crate::world::procs::Script;
use crate::world::servers::Kind;

const LARGE: usize = 20 * 1024 * 1024;

/// What a reader gets that has begun when the value is replaced: bytes, or the errno that ended it.
fn read_on(file: &File) -> (Vec<u8>, Option<i32>) {
    let mut bytes = Vec::new();
    let error = (&*file).read_to_end(&mut bytes).err();
    (bytes, error.map(|error| error.raw_os_error().unwrap()))
}

#[test]
fn a_large_value_that_is_replaced_ends_its_reader_with_estale() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    other.put("key", vec![b'a'; LARGE]);
    let mount = flat(&bucket);
    let mut file = File::open(mount.file("key")).unwrap();
    let mut first = vec![0; 1 << 20];
    file.read_exact(&mut first).unwrap();
    other.put("key", vec![b'b'; LARGE]);
    let (rest, error) = read_on(&file);
    assert_eq!(error, Some(libc::ESTALE));
    assert!(first.iter().chain(&rest).all(|byte| *byte == b'a'), "a mix");
    assert!(rest.len() < LARGE - first.len());
    // It is over for this handle, and only for this one.
    assert_eq!(
        file.read_at(&mut first, LARGE as u64 - 10)
            .unwrap_err()
            .raw_os_error(),
        Some(libc::ESTALE)
    );
    let whole = fs::read(mount.file("key")).unwrap();
    assert!(whole == vec![b'b'; LARGE], "not the new value");
    drop(file);
    mount.unmount();
}

#[test]
fn a_large_value_that_is_replaced_in_a_versioned_bucket_is_read_to_its_end() {
    let bucket = or_skip!(bucket_of(Kind::Ministack));
    let other = bucket.client();
    let versioned = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let request = other.sdk().put_bucket_versioning().bucket(other.bucket());
    other
        .block_on(request.versioning_configuration(versioned).send())
        .unwrap();
    // Not larger: this server ignores Range where a version is named, and sends everything.
    let size = 12 * 1024 * 1024;
    other.put("key", vec![b'a'; size]);
    let mount = flat(&bucket);
    let mut file = File::open(mount.file("key")).unwrap();
    let mut first = vec![0; 1 << 20];
    file.read_exact(&mut first).unwrap();
    other.put("key", vec![b'b'; size]);
    let (rest, error) = read_on(&file);
    assert_eq!((error, rest.len()), (None, size - first.len()));
    assert!(first.iter().chain(&rest).all(|byte| *byte == b'a'), "a mix");
    drop(file);
    mount.unmount();
}

#[test]
fn a_reader_keeps_its_version_while_another_process_rewrites_the_file() {
    let bucket = or_skip!(bucket());
    let old = "0123456789".repeat(100_000);
    bucket.client().put("key", old.clone());
    let mount = flat(&bucket);
    let mut file = File::open(mount.file("key")).unwrap();
    let mut first = vec![0; 500_000];
    file.read_exact(&mut first).unwrap();
    // Truncated, and not saved yet: this too is only the writer's.
    let rewrite = "exec 3>key; /bin/true; echo new >&3; exec 3>&-; test \"$(cat key)\" = new";
    Script::dash(rewrite).within(mount.path()).run().ok();
    assert_eq!(file.metadata().unwrap().len(), old.len() as u64);
    let (rest, error) = read_on(&file);
    assert_eq!(error, None);
    assert!(
        [first, rest].concat() == old.as_bytes(),
        "not the old value"
    );
    assert_eq!(fs::read_to_string(mount.file("key")).unwrap(), "new\n");
    drop(file);

    // And while it is replaced by a rename, and deleted.
    let file = File::open(mount.file("key")).unwrap();
    let rename = "echo renamed > other && mv other key && rm key";
    Script::dash(rename).within(mount.path()).run().ok();
    assert_eq!(read_on(&file), (b"new\n".to_vec(), None));
    drop(file);
    assert_eq!(bucket.client().keys(), [""; 0]);
    mount.unmount();
}

//! The backends under examination, and what each is excused from.

use std::sync::Arc;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use etagfs::backend::s3::{Credentials, S3Config};
use etagfs::backend::{Backend, Memory, S3};

use crate::world::servers::{self, Bucket, Kind};

/// A check, and why it is not to be had.
type Excuse = (&'static str, &'static str);

const NO_VERSIONS: Excuse = (
    "an_old_version_is_served_by_its_snapshot",
    "this bucket keeps no old versions",
);

/// Known of SeaweedFS 4.48: names are paths in its file system.
const SEAWEEDFS: [Excuse; 4] = [
    NO_VERSIONS,
    (
        "a_slash_is_a_byte_like_others_in_the_order",
        "SeaweedFS lists the names below a/ before a-b, and none of them after a",
    ),
    (
        "names_are_no_paths",
        "SeaweedFS folds or refuses empty, . and .. pieces of a name",
    ),
    (
        "a_long_piece_of_a_name_is_kept",
        "SeaweedFS refuses pieces of more than 255 bytes",
    ),
];

enum Place {
    Here(Arc<dyn Backend>),
    Bucket(Bucket),
}

/// One backend under examination.
pub(super) struct Subject {
    place: Place,
    excuses: Vec<Excuse>,
}

impl Subject {
    /// Why this subject need not pass a check.
    pub(super) fn excuse(&self, check: &str) -> Option<&'static str> {
        self.excuses
            .iter()
            .find(|(name, _)| *name == check)
            .map(|(_, reason)| *reason)
    }

    /// Connects.
    pub(super) async fn backend(&self) -> Arc<dyn Backend> {
        match &self.place {
            Place::Here(backend) => backend.clone(),
            Place::Bucket(bucket) => Arc::new(S3::connect(config(bucket)).await.unwrap()),
        }
    }
}

/// How etagfs reaches a bucket of a test server.
pub(crate) fn config(bucket: &Bucket) -> S3Config {
    let mut config = S3Config::new(&bucket.name);
    config.endpoint_url = Some(bucket.endpoint.clone());
    config.region = Some(crate::world::client::REGION.to_owned());
    config.credentials = Credentials::Keys {
        id: bucket.keys.id.clone(),
        secret: bucket.keys.secret.clone(),
        token: None,
    };
    config
}

pub(super) fn memory() -> Result<Subject, String> {
    Ok(Subject {
        place: Place::Here(Arc::new(Memory::new())),
        excuses: vec![NO_VERSIONS],
    })
}

pub(super) fn versioned_memory() -> Result<Subject, String> {
    Ok(Subject {
        place: Place::Here(Arc::new(Memory::keeping_versions())),
        excuses: Vec::new(),
    })
}

/// The checks of one server share a bucket: each has a prefix of its own, and SeaweedFS is slow at
/// making buckets.
fn bucket(kind: Kind, slot: &'static std::sync::OnceLock<Bucket>) -> Result<Bucket, String> {
    let server = servers::shared(kind)?;
    Ok(slot.get_or_init(|| server.bucket()).clone())
}

macro_rules! shared_bucket {
    ($kind:expr) => {{
        static BUCKET: std::sync::OnceLock<Bucket> = std::sync::OnceLock::new();
        Place::Bucket(bucket($kind, &BUCKET)?)
    }};
}

pub(super) fn our_server() -> Result<Subject, String> {
    Ok(Subject {
        place: shared_bucket!(Kind::Embedded),
        excuses: vec![NO_VERSIONS],
    })
}

pub(super) fn ministack() -> Result<Subject, String> {
    Ok(Subject {
        place: shared_bucket!(Kind::Ministack),
        excuses: vec![NO_VERSIONS],
    })
}

pub(super) fn seaweedfs() -> Result<Subject, String> {
    Ok(Subject {
        place: shared_bucket!(Kind::Seaweed),
        excuses: SEAWEEDFS.to_vec(),
    })
}

pub(super) fn versioned_ministack() -> Result<Subject, String> {
    static BUCKET: std::sync::OnceLock<Bucket> = std::sync::OnceLock::new();
    let server = servers::shared(Kind::Ministack)?;
    let bucket = BUCKET.get_or_init(|| {
        let bucket = server.bucket();
        keep_versions(&bucket);
        bucket
    });
    Ok(Subject {
        place: Place::Bucket(bucket.clone()),
        excuses: Vec::new(),
    })
}

/// Turns versioning on.
fn keep_versions(bucket: &Bucket) {
    let client = bucket.client();
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let request = client
        .sdk()
        .put_bucket_versioning()
        .bucket(&bucket.name)
        .versioning_configuration(enabled);
    client.block_on(request.send()).unwrap();
}

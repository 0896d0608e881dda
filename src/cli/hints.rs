//! What to do about a failure, by what it comes of. One table; it reads no messages. What to do about an error of
//! the client is in `kv/failures.rs`.

use super::quoted::quoted;
use crate::backend::Cause;
use crate::mount::MountError;

/// What a command met, as far as what to do next depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A request to the store failed because of this.
    Request(Cause),
    /// The store denied a request, and the cause is not known.
    Denied,
    /// The store did not answer in time, and the cause is not known.
    NoAnswer,
    /// A request to the store failed, and the cause is not known.
    Failed,
    /// What the store holds is damaged.
    Damaged,
    /// The store says that it does not exist.
    NotFound,
    /// This kind of store cannot do it.
    Unsupported,
    /// The answer to a write was lost.
    InDoubt,
    /// SOURCE is no URL of a bucket.
    NoSource,
    /// SOURCE is a key of a store.
    KeyInSource,
    /// The bucket of this name does not exist.
    NoBucket(String),
    /// The bucket at this SOURCE has no such store.
    NoStore {
        /// The bucket, with the prefix.
        source: String,
        /// The store.
        store: String,
    },
    /// These credentials may not list the bucket.
    MayNotList,
    /// These credentials may not write to the bucket.
    MayNotWrite,
    /// The server does not enforce preconditions.
    Unconditional,
    /// Something is mounted at this directory.
    Mounted(String),
    /// Nothing of etagfs is mounted there.
    NotMounted,
    /// This directory does not exist.
    NoDirectory(String),
    /// It is not a directory.
    NotADirectory,
    /// It is a directory, and not empty.
    NotEmpty,
    /// This directory belongs to a mount whose daemon is gone.
    DeadMount(String),
    /// The directory cannot be read.
    Unreadable,
    /// There is no `/dev/fuse`.
    NoFuse,
    /// There is no `fusermount3`, and the user is not root.
    NoHelper,
    /// Mounting failed because of this.
    Mounting(MountError),
}

impl Trouble {
    /// Its name, which stays the same whatever the words of its message and its hint.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Request(cause) => name_of(cause),
            Self::Denied => "denied",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Damaged => "damaged",
            Self::NotFound => "not-found",
            Self::Unsupported => "unsupported",
            Self::InDoubt => "in-doubt",
            Self::NoSource => "no-source",
            Self::KeyInSource => "key-in-source",
            Self::NoBucket(_) => "no-bucket",
            Self::NoStore { .. } => "no-store",
            Self::MayNotList => "may-not-list",
            Self::MayNotWrite => "may-not-write",
            Self::Unconditional => "unconditional",
            Self::Mounted(_) => "mounted",
            Self::NotMounted => "not-mounted",
            Self::NoDirectory(_) => "no-directory",
            Self::NotADirectory => "not-a-directory",
            Self::NotEmpty => "not-empty",
            Self::DeadMount(_) => "dead-mount",
            Self::Unreadable => "unreadable",
            Self::NoFuse => "no-fuse",
            Self::NoHelper => "no-helper",
            Self::Mounting(error) => match error {
                MountError::ForOthers => "for-others",
                MountError::NoCapability => "no-capability",
                MountError::NoAccess(_) => "no-access",
                MountError::Denied(_) => "mount-denied",
                MountError::Failed(_) => "mount-failed",
            },
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        let hint = match self {
            Self::Request(cause) => return of(cause),
            Self::Denied => {
                "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE) and what they may do"
            }
            Self::NoAnswer => {
                "check for a firewall, --proxy and --endpoint-url; --deadline sets how long to wait"
            }
            Self::Failed => "check the bucket's name, --endpoint-url, the region and the network",
            Self::Damaged => {
                "if that persists, check the object, the server at --endpoint-url, and any proxy between"
            }
            Self::NotFound => "check its name, and --endpoint-url",
            Self::Unsupported => "this kind of store cannot do it",
            Self::InDoubt => "check whether it happened before you try again",
            Self::NoSource => "SOURCE is s3://BUCKET or s3://BUCKET/PREFIX",
            Self::KeyInSource => "mount a bucket, a prefix of it, or a store",
            Self::NoBucket(name) => {
                return format!(
                    "check its name and the endpoint, or create it: etagfs bucket create {}",
                    quoted(format_args!("s3://{name}"))
                );
            }
            Self::NoStore { source, store } => {
                return format!(
                    "create it: etagfs stores create {} {}",
                    quoted(source),
                    quoted(store)
                );
            }
            Self::MayNotList => {
                "allow these keys s3:ListBucket there; a bucket that is not public wants keys, not --no-sign-request"
            }
            Self::MayNotWrite => {
                "mount it with --read-only, or allow these keys s3:PutObject, s3:GetObject and s3:DeleteObject"
            }
            Self::Unconditional => {
                "saves of two writers would silently overwrite each other; mount it with --read-only"
            }
            Self::Mounted(dir) => return format!("unmount it: etagfs umount {}", quoted(dir)),
            Self::NotMounted => "see what is mounted where: findmnt --types fuse,fuse.etagfs",
            Self::NoDirectory(dir) => return format!("make it: mkdir -p {}", quoted(dir)),
            Self::NotADirectory => "choose an empty directory",
            Self::NotEmpty => "a mount would hide what is in it; choose an empty directory",
            Self::DeadMount(dir) => {
                return format!(
                    "unmount it: fusermount3 -uz {0}, or as root: umount -l {0}",
                    quoted(dir)
                );
            }
            Self::Unreadable => "choose a directory of yours",
            Self::NoFuse => {
                "load it (modprobe fuse); in a container: --device /dev/fuse --cap-add SYS_ADMIN"
            }
            Self::NoHelper => "install the package fuse3: sudo apt-get install fuse3",
            Self::Mounting(error) => match error {
                MountError::ForOthers => {
                    "as root, add the line user_allow_other to /etc/fuse.conf; or mount without --allow-other"
                }
                MountError::NoCapability => {
                    "in a container: --cap-add SYS_ADMIN --device /dev/fuse, and with AppArmor --security-opt apparmor=unconfined"
                }
                MountError::NoAccess(_) => "choose a directory of yours, or mount as root",
                MountError::Denied(_) => "check the permissions of /dev/fuse and of the directory",
                MountError::Failed(_) => "the kernel may know more: journalctl -k, or dmesg",
            },
        };
        hint.to_owned()
    }
}

impl From<&Cause> for Trouble {
    fn from(cause: &Cause) -> Self {
        Self::Request(cause.clone())
    }
}

/// The name of a cause.
fn name_of(cause: &Cause) -> &'static str {
    match cause {
        Cause::EndpointUrl => "endpoint-url",
        Cause::NothingListens => "nothing-listens",
        Cause::NoSuchHost => "no-such-host",
        Cause::Proxy => "proxy",
        Cause::SpeaksHttp => "speaks-http",
        Cause::NotHttp => "not-http",
        Cause::Certificate => "certificate",
        Cause::CaBundle => "ca-bundle",
        Cause::NoAuthorities => "no-authorities",
        Cause::Region(Some(_)) => "other-region",
        Cause::Region(None) => "no-region",
        Cause::NoCredentials => "no-credentials",
        Cause::Secret => "wrong-secret",
        Cause::KeyId => "unknown-key-id",
        Cause::Expired => "expired",
        Cause::Clock => "clock",
        Cause::NotImplemented => "not-implemented",
        Cause::Argument => "argument",
        Cause::Archived => "archived",
        Cause::GoesOn => "goes-on",
        Cause::TemporaryFile => "temporary-file",
    }
}

/// What to do about a request that failed because of this.
fn of(cause: &Cause) -> String {
    let hint = match cause {
        Cause::EndpointUrl => "write the whole URL: --endpoint-url http://HOST:PORT, or https://",
        Cause::NothingListens => {
            "nothing listens there: check that the server is running, and --endpoint-url"
        }
        Cause::NoSuchHost => {
            "check the spelling of the host in --endpoint-url, and the name server: getent hosts HOST"
        }
        Cause::Proxy => {
            "write the whole URL of the proxy, http://HOST:PORT, or unset the variable; --proxy goes before it"
        }
        Cause::SpeaksHttp => "the server speaks http, not https: --endpoint-url http://HOST:PORT",
        // What comes of http on a port for https depends on the server: a 400 that is no XML, an alert of
        // TLS, nothing at all.
        Cause::NotHttp => "if the server speaks https, say so: --endpoint-url https://HOST:PORT",
        Cause::Certificate => {
            "name the certificate of the authority that signed the server's: --ca-bundle FILE (PEM)"
        }
        Cause::CaBundle => {
            "name a file with certificates (PEM): --ca-bundle FILE, or AWS_CA_BUNDLE"
        }
        Cause::NoAuthorities => {
            "install the package ca-certificates, or name a file with certificates (PEM): --ca-bundle FILE"
        }
        Cause::Region(Some(region)) => {
            return format!("say so: --region {region}, or AWS_REGION={region}");
        }
        Cause::Region(None) => "name the region of the bucket: --region, or AWS_REGION",
        Cause::NoCredentials => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile; for a public bucket --no-sign-request"
        }
        Cause::Secret => "the secret does not belong to this key id: check AWS_SECRET_ACCESS_KEY",
        Cause::KeyId => {
            "the server does not know this key id: check AWS_ACCESS_KEY_ID, and that --endpoint-url is the server it is for"
        }
        Cause::Expired => {
            "the keys have expired: get new ones (aws sso login, or from whoever gave them)"
        }
        Cause::Clock => {
            "the clock of this machine is wrong: timedatectl set-ntp true, then check with date -u"
        }
        Cause::NotImplemented => {
            "the server cannot do it: `etagfs probe` shows what it can do, docs/servers.md what other servers can"
        }
        Cause::Argument => {
            "the server refuses a value that was sent, from an option or an attribute: see its own words"
        }
        Cause::Archived => {
            "restore it, and wait until that is done: aws s3api restore-object --restore-request Days=7"
        }
        Cause::GoesOn => "ask again in a while; --deadline sets how long to wait",
        Cause::TemporaryFile => {
            "large values are kept there while they are read: make room, or set TMPDIR to another directory"
        }
    };
    hint.to_owned()
}

#[cfg(test)]
pub(super) use tests::ALL;

#[cfg(test)]
mod tests;

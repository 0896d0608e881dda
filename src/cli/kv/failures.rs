//! What to do about an error of the client. One table; what an error of the store comes of is in `hints.rs` of the
//! command line.

use std::fmt;
use std::io::ErrorKind;

use super::target::HOW_KEYS_ARE_NAMED;
use crate::cli::report::Failure;
use crate::client::{Error, Kind};
use crate::model::BadName;
use crate::store;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = match error {
            Error::Store(error) => return error.into(),
            Error::Connect(error) => return from_connect(error),
            error => error,
        };
        let message = match &error {
            Error::TwoPrefixes(url) => {
                format!("the prefix is given twice: in {url} and by --prefix")
            }
            Error::VersionOfMany => "--since is the version of one key".to_owned(),
            error => error.to_string(),
        };
        let failure = match error.kind() {
            Kind::Absent => Self::absent(message),
            Kind::Conflict => Self::conflict(message),
            Kind::Usage => Self::usage(message),
            Kind::Failed => Self::new(message),
        };
        match hint(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// What a connection of ours says is a failure already.
fn from_connect(error: Box<dyn std::error::Error + Send + Sync>) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => Failure::new(error.to_string()),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Connect(Box::new(failure))
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// What to do next.
fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Absent(label) | Error::Gone(label) => {
            let around = label.rsplit_once('/').map_or(".", |(around, _)| around);
            return Some(format!("see what there is: etagfs ls {around}/"));
        }
        Error::NoStore {
            source_label,
            store,
        } => {
            return Some(format!(
                "see which it has: etagfs stores ls {source_label}; make it: etagfs stores create {source_label} {store}",
            ));
        }
        Error::NothingBelow { root, .. } => {
            return Some(format!("see what there is: etagfs ls {root}"));
        }
        Error::NoSuchVersion(label) => {
            return Some(format!("see which it has: etagfs versions {label}"));
        }
        Error::Exists(label) => return Some(format!("see what it is: etagfs stat {label}")),
        Error::Replaced { label, .. } => {
            return Some(format!(
                "read it again, and try again: etagfs get --etag {label}"
            ));
        }
        Error::MaybeSame { from, to, .. } => {
            return Some(format!(
                "if they are two: etagfs get {from} | etagfs put {to}"
            ));
        }
        Error::AppendedInPart { written, len, .. } => {
            return Some(format!(
                "{written} of {len} bytes were appended: look at the end before you append again"
            ));
        }
        Error::NotDescribed { attribute, .. } => {
            return Some(format!("it is saved; setting {attribute} failed"));
        }
        Error::NoFile(_) => "check its name, and what is mounted: findmnt --types fuse,fuse.etagfs",
        Error::Contended { .. } | Error::Locked(_) => {
            "nothing was changed; give it more time: --timeout SECONDS"
        }
        Error::Late(_) => "it was left as it was; give it more time: --timeout SECONDS",
        Error::Unknown(_) => "read it before you try again",
        Error::Same { .. } => "nothing was changed",
        Error::OneObject { .. } => {
            "its value is what it was; to delete one of them is to delete both"
        }
        Error::NotTold { .. } => {
            "before you delete one, find out whether they are one object under two names"
        }
        Error::NotDeleted { .. } => {
            "both may exist now, and nothing is lost: compare them, and delete one"
        }
        Error::Log(_) => {
            "its elements are not in the file; copy its lines: etagfs log LOG | etagfs append COPY"
        }
        Error::Scratch(_) => {
            "choose another name, or name the key by its URL: s3://BUCKET/UUID/KEY"
        }
        Error::NoSuchKey(_) => "names of keys are UTF-8: name the target in full",
        Error::NotRegular(_) | Error::NotMovable { .. } => "copy it: etagfs cp",
        Error::OldMount(_) => "mount it anew",
        Error::File { error, .. } => match error.kind() {
            ErrorKind::IsADirectory => "a value is a file",
            ErrorKind::NotFound => "make the directory that it is in",
            _ => return None,
        },
        Error::Outside { .. } => "name the file by its path, without --in",
        Error::NoFileBelow { .. } => {
            "a key that ends with / or has // or /./ in it is in a bucket alone"
        }
        Error::NoVersions(_) => {
            "leave the condition out, or name the key by its URL: s3://BUCKET/UUID/KEY"
        }
        Error::NoVersion(_) => {
            "leave --since out, or name the key by its URL: s3://BUCKET/UUID/KEY"
        }
        Error::NotBinary(_) => "name the key by its URL: s3://BUCKET/UUID/KEY",
        Error::IsDirectory(_) => "watch its files, or what it shows: s3://BUCKET/UUID/DIR/",
        Error::BadName { error, .. } => match error {
            store::Error::BadName(BadName::TooLong) => {
                "an object's name has at most 1024 bytes, what comes before the key among them"
            }
            _ => "see how keys are spelled: etagfs ls",
        },
        Error::NoBucket(_) | Error::NamesNoStore(_) | Error::NoKey(_) => HOW_KEYS_ARE_NAMED,
        _ => return None,
    };
    Some(hint.to_owned())
}

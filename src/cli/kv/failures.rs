//! What to do about an error of the client. One table; what an error of the store comes of is in `hints.rs` of the
//! command line.

use std::io::ErrorKind;

use super::target::HOW_KEYS_ARE_NAMED;
use crate::cli::quoted::quoted;
use crate::cli::report::Failure;
use crate::client::{Error, Kind};
use crate::model::BadName;
use crate::store;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = match error {
            Error::Store(below) => return Self::from(&below).over(Error::Store(below)),
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
        let failure = match hint(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        };
        failure.over(error)
    }
}

/// What a connection of ours says is a failure already.
fn from_connect(error: Box<dyn std::error::Error + Send + Sync>) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => Failure::new(error.to_string()).over(Error::Connect(error)),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Connect(Box::new(failure))
    }
}

/// What to do next.
fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Absent(label) | Error::Gone(label) => {
            let around = label.rsplit_once('/').map_or(".", |(around, _)| around);
            let around = quoted(format_args!("{around}/"));
            return Some(format!("see what exists: etagfs ls {around}"));
        }
        Error::NoStore {
            source_label,
            store,
        } => {
            return Some(format!(
                "list them: etagfs stores ls {0}; make it: etagfs stores create {0} {1}",
                quoted(source_label),
                quoted(store),
            ));
        }
        Error::NothingBelow { root, .. } => {
            return Some(format!("see what exists: etagfs ls {}", quoted(root)));
        }
        Error::NoSuchVersion(label) => {
            return Some(format!("list them: etagfs versions {}", quoted(label)));
        }
        Error::Exists(label) => {
            return Some(format!("see what it is: etagfs stat {}", quoted(label)));
        }
        Error::Replaced { label, .. } => {
            return Some(format!(
                "read it again, and try again: etagfs get --etag {}",
                quoted(label)
            ));
        }
        Error::MaybeSame { from, to, .. } => {
            return Some(format!(
                "if they differ: etagfs get {} | etagfs put {}",
                quoted(from),
                quoted(to)
            ));
        }
        Error::AppendedInPart { written, len, .. } => {
            return Some(format!(
                "{written} of {len} bytes were appended: check the end before you append again"
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
        Error::OneObject { .. } => "its value is unchanged; deleting one of them deletes both",
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
            "a key that ends with / or contains // or /./ can exist in a bucket only"
        }
        Error::NoVersions(_) => {
            "leave out the condition, or name the key by its URL: s3://BUCKET/UUID/KEY"
        }
        Error::NoVersion(_) => {
            "leave out --since, or name the key by its URL: s3://BUCKET/UUID/KEY"
        }
        Error::NotBinary(_) => "name the key by its URL: s3://BUCKET/UUID/KEY",
        Error::IsDirectory(_) => "watch its files, or what it shows: s3://BUCKET/UUID/DIR/",
        Error::BadName { error, .. } => match error {
            store::Error::BadName(BadName::TooLong) => {
                "an object's name has at most 1024 bytes, including what comes before the key"
            }
            _ => "see how keys are spelled: etagfs ls",
        },
        Error::NoBucket(_) | Error::NamesNoStore(_) | Error::NoKey(_) => HOW_KEYS_ARE_NAMED,
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Version;

    #[test]
    fn a_command_that_is_suggested_quotes_its_words() {
        let word = || "s3://b/$(id) it's/k".to_owned();
        let version = Version::new("\"1\"");
        for error in [
            Error::Absent(word()),
            Error::Gone(word()),
            Error::NoStore {
                source_label: word(),
                store: word(),
            },
            Error::NothingBelow {
                target: word(),
                root: word(),
            },
            Error::NoSuchVersion(word()),
            Error::Exists(word()),
            Error::Replaced {
                label: word(),
                version,
            },
            Error::MaybeSame {
                from: word(),
                to: word(),
                why: String::new(),
            },
        ] {
            let hint = hint(&error).expect("a hint");
            // Between quotes, a shell runs nothing and splits nothing.
            let around = quoted("s3://b/$(id) it's/");
            let rest = hint.replace(&quoted(word()), "").replace(&around, "");
            assert!(rest.len() < hint.len() && !rest.contains("$("), "{hint}");
        }
    }
}

//! Finds out whether a backend means its conditions (A3).
//!
//! Servers exist that ignore a condition and answer 200: two writers then both believe that they
//! won. So a scratch object is created, refused, replaced and deleted before anything is mounted.
//! It knows any backend and no protocol. `mount` refuses to write where the verdict is
//! [`Conditional::None`]; `etagfs probe` prints it.

use bytes::Bytes;
use uuid::Uuid;

use super::habits::{Condition, Spelling};
use super::{
    After, Backend, Body, ByteRange, Cause, Error, Fetched, ListQuery, Meta, ObjectKey, ObjectMeta,
    ReadCondition,
};
use crate::model::{Outcome, Precondition, PutId, Version};

/// What the names of scratch objects begin with, after the prefix. No store is called so.
pub const SCRATCH: &str = ".etagfs-probe-";

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The verdict.
    pub conditional: Conditional,
    /// Whether a put's id comes back, so that a lost reply can be told from a conflict.
    pub keeps_put_id: bool,
    /// Whether listings show the versions, so that they need not be asked for one by one.
    pub lists_versions: bool,
    /// How ETags are spelled in the conditions of puts.
    pub spelling: Spelling,
    /// The scratch object, if it could not be removed.
    pub left_behind: Option<ObjectKey>,
}

/// Why nothing was found out.
#[derive(Clone, Debug)]
pub struct NotProbed {
    /// What happened.
    pub error: Error,
    /// The scratch object, if it could not be removed.
    pub left_behind: Option<ObjectKey>,
}

/// Which conditions a backend means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conditional {
    /// Those of puts and of deletes.
    Full,
    /// Those of puts; a delete may hit a version that nobody has seen.
    PutsOnly {
        /// What a conditional delete came to.
        why: String,
    },
    /// None that can be relied on: it must not be written to.
    None {
        /// What it did.
        why: String,
    },
}

/// Examines a backend with a scratch object whose name begins with `prefix`.
///
/// # Errors
/// Any [`Error`] that says nothing about conditions: no access, no connection, no bucket.
pub async fn probe(backend: &dyn Backend, prefix: &str) -> Result<Probe, NotProbed> {
    let name = format!("{prefix}{SCRATCH}{}", Uuid::new_v4());
    let mut scratch = ScratchObject {
        backend,
        at: ObjectKey::new(name),
        may_exist: false,
        keeps_put_id: false,
        lists_versions: false,
    };
    let verdict = scratch.examine().await;
    let left_behind = scratch.remove().await;
    let conditional = match verdict {
        Ok(conditional) => conditional,
        Err(Stop::Verdict(why)) => Conditional::None { why },
        Err(Stop::Error(error)) => return Err(NotProbed { error, left_behind }),
    };
    let habits = backend.habits();
    Ok(Probe {
        conditional,
        keeps_put_id: scratch.keeps_put_id,
        lists_versions: scratch.lists_versions,
        spelling: habits.map_or_else(Spelling::default, |all| all.spelling(Condition::Put)),
        left_behind,
    })
}

struct ScratchObject<'a> {
    backend: &'a dyn Backend,
    at: ObjectKey,
    /// Whether a put of it was done, or may have been.
    may_exist: bool,
    keeps_put_id: bool,
    lists_versions: bool,
}

/// Why the examination ends early.
enum Stop {
    /// The backend does not mean its conditions.
    Verdict(String),
    /// Nothing was found out.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A condition that cannot hold, in the form of an ETag that any server can parse.
fn wrong() -> Version {
    Version::new("\"00000000000000000000000000000000\"")
}

impl ScratchObject<'_> {
    async fn examine(&mut self) -> Result<Conditional, Stop> {
        let first = match self.put("1", &Precondition::Absent).await {
            Ok((Outcome::Committed(version), _)) => version,
            Ok(_) => return self.stop("refused to create an object under a name of its own"),
            Err(Stop::Error(error)) if error.cause() == Some(&Cause::NotImplemented) => {
                return self.stop(&format!("has no conditional puts: {error}"));
            }
            Err(stop) => return Err(stop),
        };
        if let (Outcome::Committed(_), _) = self.put("2", &Precondition::Absent).await? {
            return self.stop("overwrote an object that was to be created (If-None-Match: *)");
        }
        if let (Outcome::Committed(_), _) = self.put("3", &Precondition::Is(wrong())).await? {
            return self.stop("overwrote an object of another version (If-Match)");
        }
        let (second, id) = match self.put("4", &Precondition::Is(first.clone())).await? {
            (Outcome::Committed(version), id) => (version, id),
            _ => return self.stop("refused to replace the version that was there (If-Match)"),
        };
        if second == first {
            return self.stop("gave two contents the same ETag");
        }
        if let (Outcome::Committed(_), _) = self.put("5", &Precondition::Is(first)).await? {
            return self.stop("overwrote a newer version (If-Match)");
        }
        let seen = self.backend.head(&self.at).await?;
        self.keeps_put_id = seen.put_id == Some(id);
        self.compare("HEAD", &seen, &second)?;
        match self.get(&ReadCondition::Is(second.clone())).await {
            Ok(seen) => self.compare("GET", &seen, &second)?,
            Err(Stop::Error(Error::VersionGone(_))) => {
                let seen = self.get(&ReadCondition::Newest).await?;
                self.compare("GET", &seen, &second)?;
                return self.stop("refused to read the version that was there (If-Match)");
            }
            Err(stop) => return Err(stop),
        }
        self.lists_versions = self.listed(&second).await?;
        if let Some(habits) = self.backend.habits() {
            habits.learn_listings(self.lists_versions);
        }
        self.examine_delete(&second).await
    }

    async fn examine_delete(&self, version: &Version) -> Result<Conditional, Stop> {
        let weak = |why: &str| {
            Ok(Conditional::PutsOnly {
                why: why.to_owned(),
            })
        };
        match self.backend.delete(&self.at, &wrong()).await {
            Ok(Outcome::Refused(_)) => {}
            Ok(Outcome::Committed(())) => return weak("deletes whatever version is there"),
            Ok(Outcome::Unknown) => return Err(self.uncertain().into()),
            Err(error) if error.cause() == Some(&Cause::NotImplemented) => {
                return weak(&error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
        match self.backend.delete(&self.at, version).await? {
            Outcome::Committed(()) => Ok(Conditional::Full),
            Outcome::Refused(_) => weak("refuses to delete the version that is there"),
            Outcome::Unknown => Err(self.uncertain().into()),
        }
    }

    /// One put, certainly refused or certainly saved.
    async fn put(
        &mut self,
        text: &'static str,
        expect: &Precondition,
    ) -> Result<(Outcome, PutId), Stop> {
        let id = PutId::new(Uuid::new_v4().as_u128());
        let body = Body {
            bytes: Bytes::from_static(text.as_bytes()),
            meta: Meta::default(),
        };
        let outcome = self.backend.put(&self.at, body, expect, id).await?;
        self.may_exist |= !matches!(outcome, Outcome::Refused(_));
        match outcome {
            Outcome::Unknown => Err(self.uncertain().into()),
            certain => Ok((certain, id)),
        }
    }

    async fn get(&self, pin: &ReadCondition) -> Result<ObjectMeta, Stop> {
        match self.backend.get(&self.at, pin, ByteRange::UpTo(1)).await? {
            Fetched::Object(object) => Ok(object.info),
            Fetched::Unchanged => self.stop("did not answer a GET"),
        }
    }

    async fn listed(&self, version: &Version) -> Result<bool, Stop> {
        let query = ListQuery {
            prefix: self.at.as_str().to_owned(),
            fold: false,
            after: After::Start,
            limit: 1,
        };
        let page = self.backend.list(&query).await?;
        Ok(page
            .objects
            .iter()
            .any(|listed| listed.key == self.at && listed.version.as_ref() == Some(version)))
    }

    fn compare(&self, how: &str, seen: &ObjectMeta, put: &Version) -> Result<(), Stop> {
        if seen.version == *put {
            return Ok(());
        }
        self.stop(&format!(
            "tells the ETag {} in the answer to a {how} and {put} in that to the put",
            seen.version
        ))
    }

    fn stop<T>(&self, what: &str) -> Result<T, Stop> {
        Err(Stop::Verdict(format!("{} {what}", self.backend.name())))
    }

    fn uncertain(&self) -> Error {
        Error::Unreachable {
            what: self.at.to_string(),
            why: "a request got no certain answer".into(),
        }
    }

    /// Removes the scratch object; its name if it is still there.
    async fn remove(&self) -> Option<ObjectKey> {
        if !self.may_exist {
            return None;
        }
        // A put whose answer was lost may land between the look and the delete.
        for _ in 0..2 {
            let info = match self.backend.head(&self.at).await {
                Ok(info) => info,
                Err(Error::NotFound(_)) => return None,
                Err(_) => break,
            };
            match self.backend.delete(&self.at, &info.version).await {
                Ok(Outcome::Committed(())) => return None,
                Ok(Outcome::Refused(_)) => {}
                Ok(Outcome::Unknown) | Err(_) => break,
            }
        }
        tracing::warn!(object = %self.at, "the scratch object of the probe could not be removed");
        Some(self.at.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::fault::{Fault, Faulty, Op};
    use crate::backend::{Memory, Why};

    fn faulty() -> (Arc<Memory>, Faulty) {
        let memory = Arc::new(Memory::new());
        (memory.clone(), Faulty::new(memory))
    }

    async fn is_empty(memory: &Memory) -> bool {
        let everything = ListQuery {
            prefix: String::new(),
            fold: false,
            after: After::Start,
            limit: 1,
        };
        memory.list(&everything).await.unwrap().objects.is_empty()
    }

    #[tokio::test]
    async fn a_true_backend_passes_and_is_left_as_it_was() {
        let (memory, backend) = faulty();
        let found = probe(&backend, "prefix/").await.unwrap();
        assert_eq!(
            found,
            Probe {
                conditional: Conditional::Full,
                keeps_put_id: true,
                lists_versions: true,
                spelling: Spelling::default(),
                left_behind: None,
            }
        );
        assert!(is_empty(&memory).await);
    }

    #[tokio::test]
    async fn no_access_is_no_verdict() {
        let (memory, backend) = faulty();
        let denied = Fault::fail(|| Error::Denied {
            what: "key".into(),
            why: "scripted".into(),
            to: crate::backend::Denial::Request,
        });
        backend.next(Op::Put, denied);
        let error = probe(&backend, "").await.unwrap_err().error;
        assert!(matches!(error, Error::Denied { .. }));
        assert!(is_empty(&memory).await);
    }

    #[tokio::test]
    async fn a_backend_that_knows_no_conditions_is_told_by_its_error() {
        let (_, backend) = faulty();
        let unknown = Fault::fail(|| Error::Failed {
            what: "key".into(),
            why: Why::because(Cause::NotImplemented, "there is no such thing"),
        });
        backend.next(Op::Put, unknown);
        let found = probe(&backend, "").await.unwrap();
        let Conditional::None { why } = found.conditional else {
            panic!("{found:?}");
        };
        assert!(why.contains("no such thing"), "{why}");
    }

    #[tokio::test]
    async fn any_other_failure_is_told_in_its_own_words_and_is_no_verdict() {
        for nth in 1..=5 {
            let (memory, backend) = faulty();
            let failed = Fault::fail(|| Error::Failed {
                what: "key".into(),
                why: "InvalidRequest: NotImplemented is only a word here".into(),
            });
            backend.nth(Op::Put, nth, failed);
            let none = probe(&backend, "").await.unwrap_err();
            assert!(
                matches!(none.error, Error::Failed { .. }),
                "{nth}: {none:?}"
            );
            assert_eq!(none.left_behind, None, "{nth}");
            assert!(is_empty(&memory).await, "{nth}");
        }
    }

    #[tokio::test]
    async fn what_an_outage_left_behind_is_named() {
        let (memory, backend) = faulty();
        backend.nth(Op::Put, 4, Fault::LoseReply);
        backend.every(Op::Delete, Fault::Refuse);
        let none = probe(&backend, "").await.unwrap_err();
        let left = none.left_behind.unwrap();
        assert!(memory.head(&left).await.is_ok());
    }

    #[tokio::test]
    async fn what_never_existed_is_not_left_behind() {
        let (_, backend) = faulty();
        for op in [Op::Put, Op::Head, Op::Delete] {
            backend.every(op, Fault::fail(|| Error::NotFound("bucket".to_owned())));
        }
        let none = probe(&backend, "").await.unwrap_err();
        assert_eq!(none.left_behind, None);
    }

    #[tokio::test]
    async fn an_outage_in_the_middle_leaves_nothing_behind() {
        let (memory, backend) = faulty();
        backend.nth(Op::Put, 4, Fault::LoseReply);
        assert!(probe(&backend, "").await.is_err());
        assert!(is_empty(&memory).await);
    }

    #[tokio::test]
    async fn what_cannot_be_removed_is_named() {
        let (memory, backend) = faulty();
        backend.every(Op::Delete, Fault::Refuse);
        let found = probe(&backend, "").await.unwrap();
        assert!(matches!(found.conditional, Conditional::PutsOnly { .. }));
        let left = found.left_behind.unwrap();
        assert!(memory.head(&left).await.is_ok());
    }
}

//! Copying a whole store: its objects, byte for byte, under another store's name.
//!
//! Nothing in an object says which store it is in, so that a copy of the bytes is a copy of the store,
//! whatever the layout: logs, encrypted and binary values included. Each object is made under the
//! condition that it does not exist. It knows no values.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::tags::tagged;
use super::{Catalog, Error, LayoutKind};
use crate::backend::{Body, Fetched, Listed, Object, ObjectKey, Pin, Span};
use crate::model::{Expect, Outcome, PutId, StoreId};
use konserve_codec::object::{Role, role};

/// How many objects are copied at once; each is in memory meanwhile.
const AT_ONCE: usize = 8;

/// What a copy of a store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many objects were made.
    pub made: u64,
    /// How many were there already, the same.
    pub same: u64,
    /// The names of those that were there already and are others. They were left as they are.
    pub others: Vec<String>,
}

/// What became of one object.
enum One {
    Made,
    Same,
    Other(String),
    /// It was deleted meanwhile.
    Gone,
}

impl Catalog {
    /// Copies a store. `to` is the place of the copy, which must not exist, unless a copy that was
    /// broken off is to be resumed. `step` hears of each object, and first of how many there are. What
    /// is written to the store meanwhile may be missing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exists`] when the copy exists; any other [`Error`].
    pub async fn copy(
        &self,
        from: StoreId,
        (target, to): (&Self, StoreId),
        resume: bool,
        mut step: impl FnMut(u64),
    ) -> Result<Copied, Error> {
        let missing = || Error::NotFound(format!("the store {from}"));
        let layout = self.find(from).await?.ok_or_else(missing)?;
        match target.find(to).await? {
            Some(there) if resume && there == layout => {}
            Some(_) => return Err(Error::Exists(format!("the store {to}"))),
            None => target.in_layout(layout).create(to).await?,
        }
        let separator = match layout {
            LayoutKind::Plain => '/',
            LayoutKind::Konserve => '_',
        };
        let (old, new) = (
            format!("{}{from}", self.prefix),
            format!("{}{to}", target.prefix),
        );
        let mut objects = self
            .objects(&format!("{old}{separator}"), usize::MAX)
            .await?;
        objects.retain(|object| is_of_value(layout, &object.key.as_str()[old.len()..]));
        step(objects.len() as u64);
        let copy = |object: Listed| {
            let name = &object.key.as_str()[old.len()..];
            let at = ObjectKey::new(format!("{new}{name}"));
            async move { self.copy_object(&object.key, target, &at).await }
        };
        let mut copied = Copied::default();
        let mut results = stream::iter(objects.into_iter().map(copy)).buffer_unordered(AT_ONCE);
        while let Some(one) = results.try_next().await? {
            match one {
                One::Made => copied.made += 1,
                One::Same => copied.same += 1,
                One::Other(name) => copied.others.push(name),
                One::Gone => {}
            }
            step(0);
        }
        Ok(copied)
    }

    async fn copy_object(
        &self,
        from: &ObjectKey,
        target: &Self,
        to: &ObjectKey,
    ) -> Result<One, Error> {
        let span = Span::UpTo(u64::MAX);
        let object = match self.backend.get(from, &Pin::Newest, span).await {
            Ok(Fetched::Object(object)) => *object,
            Ok(Fetched::Unchanged) => {
                return Err(Error::Damaged {
                    what: format!("{}/{from}", self.backend.name()),
                    why: "an unconditional read was answered with \"unchanged\"".to_owned(),
                });
            }
            Err(error) if error.is_not_found() => return Ok(One::Gone),
            Err(error) => return Err(error.into()),
        };
        let Object { info, bytes } = object;
        let body = Body {
            bytes: bytes.clone(),
            meta: tagged(&*self.backend, info.meta).await?,
        };
        let id = PutId::new(Uuid::new_v4().as_u128());
        match target.backend.put(to, body, &Expect::Absent, id).await? {
            Outcome::Saved(_) => Ok(One::Made),
            Outcome::Unknown => Err(Error::Unknown(format!("{}/{to}", target.backend.name()))),
            Outcome::Refused(_) => {
                let there = target.backend.get(to, &Pin::Newest, span).await?;
                let same = matches!(there, Fetched::Object(there) if there.bytes == bytes);
                Ok(match same {
                    true => One::Same,
                    false => One::Other(format!("{}/{to}", target.backend.name())),
                })
            }
        }
    }
}

/// Whether an object belongs to a copy, by its name after the store's. The marker is made with the
/// store; what crashes left in a konserve store stays where it is.
fn is_of_value(layout: LayoutKind, after_store: &str) -> bool {
    match layout {
        LayoutKind::Plain => after_store != "/",
        LayoutKind::Konserve => matches!(role(after_store), Some(Role::Value(_))),
    }
}

//! Where a check stands: a backend, a prefix of its own, and short words for the usual calls.

use std::sync::Arc;

use bytes::Bytes;
use etagfs::backend::{
    After, Backend, Body, ByteRange, Error, Fetched, ListQuery, Meta, Object, ObjectKey, Page,
    ReadCondition,
};
use etagfs::model::{Outcome, Precondition, PutId, Version};

use crate::world::servers::random_name;

/// More than any value here.
pub(super) const ALL: ByteRange = ByteRange::UpTo(64 << 20);

#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) prefix: String,
}

impl Ground {
    pub(super) fn new(backend: Arc<dyn Backend>, check: &str) -> Self {
        Self {
            backend,
            prefix: format!("{}/", random_name(check)),
        }
    }

    pub(super) fn at(&self, name: &str) -> ObjectKey {
        ObjectKey::new(format!("{}{name}", self.prefix))
    }

    pub(super) async fn put(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        expect: &Precondition,
    ) -> Outcome {
        let body = body(bytes);
        self.try_put(name, body, expect, new_id()).await.unwrap()
    }

    /// The put as it is.
    pub(super) async fn try_put(
        &self,
        name: &str,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        self.backend.put(&self.at(name), body, expect, id).await
    }

    /// Creates an object that nobody else creates.
    pub(super) async fn create(&self, name: &str, bytes: impl Into<Bytes>) -> Version {
        saved(self.put(name, bytes, &Precondition::Absent).await)
    }

    /// Replaces an object that nobody else replaces.
    pub(super) async fn update(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        base: &Version,
    ) -> Version {
        saved(self.put(name, bytes, &Precondition::Is(base.clone())).await)
    }

    pub(super) async fn delete(&self, name: &str, version: &Version) -> Outcome<()> {
        let at = self.at(name);
        self.backend.delete(&at, version).await.unwrap()
    }

    pub(super) async fn fetch(
        &self,
        name: &str,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Object, Error> {
        match self.backend.get(&self.at(name), pin, span).await? {
            Fetched::Object(object) => Ok(*object),
            Fetched::Unchanged => panic!("{name:?} is said to be unchanged"),
        }
    }

    /// The newest version, whole.
    pub(super) async fn get(&self, name: &str) -> Object {
        self.fetch(name, &ReadCondition::Newest, ALL).await.unwrap()
    }

    pub(super) async fn is_missing(&self, name: &str) -> bool {
        match self.backend.head(&self.at(name)).await {
            Ok(_) => false,
            Err(Error::NotFound(_)) => true,
            Err(error) => panic!("{error}"),
        }
    }

    /// One page of this ground's names.
    pub(super) async fn page(&self, query: &List<'_>, after: After) -> Page {
        let query = ListQuery {
            prefix: format!("{}{}", self.prefix, query.prefix),
            fold: query.fold,
            after,
            limit: query.limit,
        };
        self.backend.list(&query).await.unwrap()
    }

    /// All names and folded prefixes, page by page, without this ground's prefix. Checks that no
    /// page is empty but the only one, and that none is larger than asked for.
    pub(super) async fn names(&self, query: &List<'_>) -> Names {
        let mut after = match query.after {
            Some(name) => After::Name(format!("{}{name}", self.prefix)),
            None => After::Start,
        };
        let mut names = Names::default();
        loop {
            let page = self.page(query, after).await;
            let entries = page.objects.len() + page.prefixes.len();
            assert!(entries <= usize::from(query.limit), "{entries} entries");
            assert!(entries > 0 || page.next.is_none(), "an empty page and more");
            names.pages += 1;
            let inside = |name: &str| {
                let inside = name.strip_prefix(&self.prefix);
                inside.unwrap_or_else(|| panic!("{name:?}")).to_owned()
            };
            names.objects.extend(
                page.objects
                    .iter()
                    .map(|listed| inside(listed.key.as_str())),
            );
            names
                .prefixes
                .extend(page.prefixes.iter().map(|prefix| inside(prefix)));
            match page.next {
                Some(next) => after = After::Page(next),
                None => return names,
            }
        }
    }
}

/// What to list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub(super) prefix: &'a str,
    pub(super) fold: bool,
    pub(super) after: Option<&'a str>,
    pub(super) limit: u16,
}

impl List<'_> {
    pub(super) const ALL: Self = Self {
        prefix: "",
        fold: false,
        after: None,
        limit: 1000,
    };
    pub(super) const FOLDED: Self = Self {
        fold: true,
        ..Self::ALL
    };
}

#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) objects: Vec<String>,
    pub(super) prefixes: Vec<String>,
    pub(super) pages: usize,
}

pub(super) fn body(bytes: impl Into<Bytes>) -> Body {
    Body {
        bytes: bytes.into(),
        meta: Meta::default(),
    }
}

pub(super) fn new_id() -> PutId {
    PutId::new(uuid::Uuid::new_v4().as_u128())
}

#[track_caller]
pub(super) fn saved<T: std::fmt::Debug>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Committed(value) => value,
        other => panic!("{other:?}"),
    }
}

/// A version that no object has.
pub(super) fn no_version() -> Version {
    Version::new("\"0123456789abcdef0123456789abcdef\"")
}

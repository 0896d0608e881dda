//! Whether two names are one thing: a key by its URL and by its path, two spellings, two links to a file.
//!
//! An ETag cannot say it. Two keys with one value have one ETag, and one key has another ETag a moment later. What
//! a name leads to can: the server, the bucket and the object, or the device and the inode. It decides nothing
//! about what is then allowed.

use super::Error;

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An object: its server, and its address there.
    Object {
        /// The server, as it is spelled.
        server: String,
        /// `s3://BUCKET/OBJECT`.
        address: String,
    },
    /// A file in no bucket: device and inode.
    File(u64, u64),
    /// A file in a mount that does not tell its object: its daemon is an older program.
    Untold,
    /// Nothing that exists.
    Nothing,
}

/// How two names are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    One,
    Two,
    /// They may be one: nobody can tell.
    Unclear,
}

impl Identity {
    /// Reads what [`crate::store::Store::identity`] tells.
    pub(super) fn of_object(told: &str) -> Self {
        let (server, address) = told.split_once('\n').unwrap_or(("", told));
        Self::Object {
            server: server.trim_end_matches('/').to_ascii_lowercase(),
            address: address.to_owned(),
        }
    }

    fn relation(&self, other: &Self) -> Relation {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Nothing) => Relation::Two,
            (Self::File(..), _) | (_, Self::File(..)) if self == other => Relation::One,
            (Self::File(..), _) | (_, Self::File(..)) => Relation::Two,
            (Self::Untold, _) | (_, Self::Untold) => Relation::Unclear,
            (Self::Object { address, .. }, Self::Object { address: there, .. })
                if address != there =>
            {
                Relation::Two
            }
            _ if self == other => Relation::One,
            // One server may have two names, and two servers a bucket of one name each.
            _ => Relation::Unclear,
        }
    }

    /// That the two are not one. `from` and `to` are what they are called.
    ///
    /// # Errors
    /// When they are one, or may be.
    pub(super) fn is_not(&self, other: &Self, from: String, to: String) -> Result<(), Error> {
        match self.relation(other) {
            Relation::Two => Ok(()),
            Relation::One => Err(Error::Same { from, to }),
            Relation::Unclear => Err(Error::MaybeSame {
                from,
                to,
                why: self.beside(other),
            }),
        }
    }

    fn beside(&self, other: &Self) -> String {
        match (self, other) {
            (Self::Object { server, address }, Self::Object { server: there, .. }) => {
                format!("{address}, of {server} and of {there}")
            }
            _ => "the mount does not report which object it shows".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_has_many_names() {
        let object =
            |server: &str, address: &str| Identity::of_object(&format!("{server}\n{address}"));
        let one = object("http://host", "s3://b/k");
        assert_eq!(
            one.relation(&object("http://HOST/", "s3://b/k")),
            Relation::One
        );
        assert_eq!(
            one.relation(&object("http://host", "s3://b/l")),
            Relation::Two
        );
        assert_eq!(
            one.relation(&object("http://host", "s3://c/k")),
            Relation::Two
        );
        assert_eq!(
            one.relation(&object("http://10.0.0.1", "s3://b/k")),
            Relation::Unclear
        );
        assert_eq!(one.relation(&Identity::Untold), Relation::Unclear);
        assert_eq!(
            Identity::Untold.relation(&Identity::Untold),
            Relation::Unclear
        );
        let file = Identity::File(1, 2);
        assert_eq!(file.relation(&Identity::File(1, 2)), Relation::One);
        assert_eq!(file.relation(&Identity::File(1, 3)), Relation::Two);
        for other in [&one, &Identity::Untold, &Identity::Nothing] {
            assert_eq!(file.relation(other), Relation::Two, "{other:?}");
            assert_eq!(other.relation(&file), Relation::Two, "{other:?}");
        }
        assert_eq!(Identity::Nothing.relation(&one), Relation::Two);
        assert!(object("h", "s3://b/a\nb").relation(&object("h", "s3://b/a")) == Relation::Two);
    }
}

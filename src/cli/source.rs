//! SOURCE. How one is reached is `connection.rs`'s, what is kept of it on this machine `state.rs`'s.

pub(super) use super::connection::Connection;
use super::hints::Trouble;
use super::report::Failure;
pub(super) use super::state::StateOptions;
pub(super) use crate::client::Source;
use crate::model::StoreId;

/// An object's name has at most 1024 bytes, the prefix among them.
const LONGEST_PREFIX: usize = 1023;

impl Source {
    /// Reads `s3://BUCKET[/PREFIX]`.
    ///
    /// # Errors
    /// A usage failure that says what is expected.
    pub(super) fn parse(text: &str, connection: &Connection) -> Result<Self, Failure> {
        let rest = text.strip_prefix("s3://").ok_or_else(|| {
            Failure::usage(format!("{text:?} is no source")).because(&Trouble::NoSource)
        })?;
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(
                Failure::usage(format!("{text:?} names no bucket")).because(&Trouble::NoSource)
            );
        }
        let mut prefix = match (&connection.prefix, path) {
            (Some(_), path) if !path.is_empty() => {
                return Err(Failure::usage(
                    "the prefix is given twice: in SOURCE and by --prefix",
                ));
            }
            (Some(prefix), _) => prefix.clone(),
            (None, path) => path.to_owned(),
        };
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        if prefix.len() > LONGEST_PREFIX {
            return Err(Failure::usage(format!(
                "a prefix of {} bytes leaves no room for a name: the limit is {LONGEST_PREFIX}",
                prefix.len()
            )));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix,
        })
    }

    /// Reads what can be mounted: as [`parse`](Self::parse), or `s3://BUCKET[/PREFIX]/UUID`, which is one
    /// store. With `flat` every part of a path is one of the prefix.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and for what is below a store.
    pub(super) fn with_store(
        text: &str,
        connection: &Connection,
        flat: bool,
    ) -> Result<(Self, Option<StoreId>), Failure> {
        // Not the bucket, which may be called like a store.
        let path = text.strip_prefix("s3://").and_then(|rest| rest.find('/'));
        let Some(path) = path.filter(|_| !flat).map(|at| "s3://".len() + at + 1) else {
            return Ok((Self::parse(text, connection)?, None));
        };
        let mut at = path;
        for part in text[path..].split('/') {
            if let Some(store) = StoreId::parse(part) {
                let below = text[at + part.len()..].trim_matches('/');
                if !below.is_empty() {
                    return Err(Failure::usage(format!("{text:?} is a key of a store"))
                        .because(&Trouble::KeyInSource));
                }
                return Ok((Self::parse(&text[..at], connection)?, Some(store)));
            }
            at += part.len() + 1;
        }
        Ok((Self::parse(text, connection)?, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Just {
        #[command(flatten)]
        connection: Connection,
    }

    fn parse(text: &str, prefix: &[&str]) -> Result<Source, Failure> {
        let args = ["x"].iter().chain(prefix);
        Source::parse(text, &Just::parse_from(args).connection)
    }

    #[test]
    fn a_store_in_the_path_is_that_store_and_what_is_below_it_is_refused() {
        let store = "0f5b6d1a-4d2e-4d31-8b6a-3f1c2d4e0f5b";
        let connection = Just::parse_from(["x"]).connection;
        let read = |text: &str, flat| Source::with_store(text, &connection, flat);
        for (text, flat, prefix, is_store) in [
            (format!("s3://b/{store}"), false, "", true),
            (format!("s3://b/{store}/"), false, "", true),
            (format!("s3://b/p/q/{store}"), false, "p/q/", true),
            (format!("s3://{store}/p"), false, "p/", false),
            (format!("s3://{store}"), false, "", false),
            (format!("s3://b/{store}"), true, &format!("{store}/"), false),
            ("s3://b".to_owned(), false, "", false),
        ] {
            let (source, found) = read(&text, flat).expect(&text);
            let found = found.map(|found| found.to_string());
            assert_eq!(source.prefix, prefix, "{text}");
            assert_eq!(found.as_deref(), is_store.then_some(store), "{text}");
        }
        for key in ["key", "a/b", store] {
            assert!(
                read(&format!("s3://b/{store}/{key}"), false).is_err(),
                "{key}"
            );
        }
        let twice = Just::parse_from(["x", "--prefix=p"]).connection;
        let text = format!("s3://b/{store}");
        let (source, _) = Source::with_store(&text, &twice, false).expect("one prefix");
        assert_eq!(source.prefix, "p/");
        assert!(Source::with_store(&format!("s3://b/q/{store}"), &twice, false).is_err());
    }

    #[test]
    fn a_source_is_a_bucket_with_or_without_a_prefix() {
        for (text, option, bucket, prefix) in [
            ("s3://b", None, "b", ""),
            ("s3://b/", None, "b", ""),
            ("s3://b/a/c", None, "b", "a/c/"),
            ("s3://b/a/", None, "b", "a/"),
            ("s3://b", Some("--prefix=p"), "b", "p/"),
        ] {
            let option: Vec<_> = option.into_iter().collect();
            let source = parse(text, &option).expect(text);
            assert_eq!((&*source.bucket, &*source.prefix), (bucket, prefix));
        }
        assert_eq!(parse("s3://b/a/", &[]).expect("parsed").label(), "s3://b/a");
        assert!(parse("b", &[]).is_err());
        assert!(parse("s3://", &[]).is_err());
        assert!(parse("s3://b/a", &["--prefix=p"]).is_err());
    }
}

//! SOURCE. How one is reached is `connection.rs`'s, what is kept of it on this machine `state.rs`'s.

pub(super) use super::connection::Connection;
use super::report::Failure;
pub(super) use super::state::State;

/// A bucket, or the part of it below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source {
    /// The bucket.
    pub(super) bucket: String,
    /// Empty, or ending with `/`.
    pub(super) prefix: String,
}

impl Source {
    /// Reads `s3://BUCKET[/PREFIX]`.
    ///
    /// # Errors
    /// A usage failure that says what is expected.
    pub(super) fn parse(text: &str, connection: &Connection) -> Result<Self, Failure> {
        let expected = "SOURCE is s3://BUCKET or s3://BUCKET/PREFIX";
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| Failure::usage(format!("{text:?} is no source")).hint(expected))?;
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Failure::usage(format!("{text:?} names no bucket")).hint(expected));
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
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix,
        })
    }

    /// What messages call it.
    pub(super) fn label(&self) -> String {
        let label = format!("s3://{}/{}", self.bucket, self.prefix);
        label.trim_end_matches('/').to_owned()
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

//! SOURCE, and how it is reached: from arguments to a backend.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::report::Failure;
use crate::backend::s3::{Credentials, S3Config};
use crate::backend::{Backend, Deadlines, Limited, Metered, S3, Settled};
use crate::telemetry::Telemetry;

/// How many requests run at once.
const REQUESTS_AT_ONCE: usize = 64;

/// Where a bucket is and who asks for it.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Bucket")]
pub(super) struct Connection {
    /// URL of a server other than AWS.
    #[arg(long, env = "ETAGFS_ENDPOINT_URL", value_name = "URL")]
    pub(super) endpoint_url: Option<String>,
    /// Region of the bucket [else AWS_REGION, or the profile's].
    #[arg(long, env = "ETAGFS_REGION")]
    region: Option<String>,
    /// Put the bucket's name into the path of URLs, not into the host name [the default with
    /// --endpoint-url].
    #[arg(long, env = "ETAGFS_PATH_STYLE")]
    path_style: bool,
    /// Profile of the AWS configuration files.
    #[arg(long, env = "ETAGFS_PROFILE")]
    profile: Option<String>,
    /// Do not sign requests: for public buckets.
    #[arg(long, env = "ETAGFS_NO_SIGN_REQUEST", conflicts_with = "profile")]
    no_sign_request: bool,
    /// Only objects whose names begin with this; the same as s3://BUCKET/PREFIX.
    #[arg(long, env = "ETAGFS_PREFIX")]
    prefix: Option<String>,
    /// The longest that one operation in the store may take, in seconds.
    #[arg(
        long,
        env = "ETAGFS_DEADLINE",
        value_name = "SECONDS",
        default_value_t = 30.0
    )]
    deadline: f64,
}

/// A bucket, or the part of it below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Connection {
    /// How long operations in the store may take.
    pub(super) fn deadlines(&self) -> Result<Deadlines, Failure> {
        let default = Deadlines::default();
        let operation = Duration::try_from_secs_f64(self.deadline)
            .ok()
            .filter(|deadline| *deadline >= Duration::from_secs(1))
            .ok_or_else(|| Failure::usage("--deadline must be a second or more"))?;
        Ok(Deadlines {
            connect: default.connect.min(operation),
            attempt: default.attempt.min(operation),
            operation,
            ..default
        })
    }

    /// Prepares to reach a bucket. Sends nothing yet.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub(super) async fn connect(&self, source: &Source) -> Result<Arc<dyn Backend>, Failure> {
        self.connect_counted(source, Arc::default()).await
    }

    /// As [`connect`](Self::connect); `telemetry` is told of every request.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub(super) async fn connect_counted(
        &self,
        source: &Source,
        telemetry: Arc<Telemetry>,
    ) -> Result<Arc<dyn Backend>, Failure> {
        let deadlines = self.deadlines()?;
        let mut config = S3Config::new(&source.bucket);
        config.region.clone_from(&self.region);
        config.endpoint_url.clone_from(&self.endpoint_url);
        config.path_style = self.path_style.then_some(true);
        config.deadlines = deadlines;
        if self.no_sign_request {
            config.credentials = Credentials::Anonymous;
        } else if let Credentials::Standard { profile, .. } = &mut config.credentials {
            profile.clone_from(&self.profile);
        }
        let s3 = Arc::new(S3::connect(config).await?);
        let metered = Arc::new(Metered::new(s3, telemetry));
        let settled = Arc::new(Settled::new(metered, deadlines));
        Ok(Arc::new(Limited::new(
            settled,
            REQUESTS_AT_ONCE,
            deadlines.operation,
        )))
    }
}

/// Where rescued bytes and other things of this machine are kept.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct State {
    /// Directory for rescued bytes [else $XDG_STATE_HOME/etagfs; /var/lib/etagfs for root].
    #[arg(long, env = "ETAGFS_STATE_DIR", value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
}

impl State {
    /// The directory.
    ///
    /// # Errors
    /// When none is given and there is no home directory.
    pub(super) fn dir(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.state_dir {
            return Ok(std::path::absolute(dir)?);
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/etagfs"));
        }
        let from = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        from("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| from("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .map(|dir| dir.join("etagfs"))
            .ok_or_else(|| {
                Failure::new("there is no home directory to keep rescued bytes in")
                    .hint("give a directory with --state-dir")
            })
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

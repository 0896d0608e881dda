//! `etagfs bucket`: buckets come and go.

use clap::{Args as ClapArgs, Subcommand};

use super::quoted::quoted;
use super::report::Failure;
use super::source::{Connection, Source};
use super::{log, runtime};

/// The options of `bucket`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a bucket, in the region of --region. A bucket that is yours already is left as it is.
    Create(OneBucket),
    /// Remove a bucket, if it is empty.
    Rm(OneBucket),
}

#[derive(Debug, ClapArgs)]
struct OneBucket {
    /// s3://BUCKET.
    bucket: String,
    #[command(flatten)]
    connection: Connection,
}

/// Does what was asked.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    log::start("error", log::Destination::Stderr).map_err(Failure::usage)?;
    runtime()?.block_on(async {
        match args.command {
            Command::Create(one) => {
                let source = one.source()?;
                Ok(one.connection.s3(&source).await?.create_bucket().await?)
            }
            Command::Rm(one) => {
                let source = one.source()?;
                match one.connection.s3(&source).await?.remove_bucket().await? {
                    true => Ok(()),
                    false => Err(
                        Failure::new(format!("{} is not empty", source.label())).hint(format!(
                            "see what is in it: etagfs ls --flat -R {}; old versions count too",
                            quoted(source.label())
                        )),
                    ),
                }
            }
        }
    })
}

impl OneBucket {
    fn source(&self) -> Result<Source, Failure> {
        let source = Source::parse(&self.bucket, &self.connection)?;
        match source.prefix.is_empty() {
            true => Ok(source),
            false => Err(
                Failure::usage(format!("{} is more than a bucket", self.bucket))
                    .hint("a bucket is s3://BUCKET"),
            ),
        }
    }
}

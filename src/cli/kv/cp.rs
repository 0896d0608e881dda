//! `etagfs cp` and `etagfs mv`: a value from one place to another, with what travels with it.

use std::path::Path;

use clap::Args as ClapArgs;

use super::metadata_args::{self, MetadataArgs};
use super::patience::RetryOptions;
use super::put::input;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::output::copy;
use crate::cli::report::Failure;
use crate::client::{self, Client, Replace};
use crate::model::{Precondition, Version};

/// The options of `cp`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Cp {
    #[command(flatten)]
    pair: Pair,
    #[command(flatten)]
    said: MetadataArgs,
}

/// The options of `mv`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Mv {
    #[command(flatten)]
    pair: Pair,
}

#[derive(Debug, ClapArgs)]
struct Pair {
    /// From where: s3://BUCKET[/PREFIX]/UUID/KEY, a path, or - for standard input.
    source: Target,
    /// To where. A target that ends with / keeps the name of the source; - is standard output.
    target: Target,
    /// Only if the target does not exist; exit with 75 if it does.
    #[arg(long, short)]
    no_clobber: bool,
    /// Replace this version of the target and no other.
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version, conflicts_with = "no_clobber")]
    if_match: Option<Version>,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// Copies.
pub(in crate::cli) fn cp(args: &Cp) -> CommandResult {
    args.pair
        .reach
        .run(async |client| args.pair.cp(&args.said, client).await)
}

/// Moves.
pub(in crate::cli) fn mv(args: &Mv) -> CommandResult {
    args.pair
        .reach
        .run(async |client| args.pair.mv(client).await)
}

impl Pair {
    async fn cp(&self, said: &MetadataArgs, client: Client) -> CommandResult {
        let target = self.whole_target()?;
        let metadata = said.metadata();
        match (&self.source, &target) {
            (Target::Stream, Target::Stream) => copy(&input(Path::new("-"))?[..]),
            (Target::Stream, Target::At(to)) => {
                let bytes = input(Path::new("-"))?;
                let to = client.location(to.clone()).await?;
                client::copy_bytes(bytes, &*to, &metadata, &self.replace()).await?;
                Ok(())
            }
            (Target::At(from), Target::Stream) => {
                let from = client.location(from.clone()).await?;
                let got = client::read_to_copy(&*from).await?;
                copy(got.content.reader()?)
            }
            (Target::At(from), Target::At(to)) => {
                let from = client.location(from.clone()).await?;
                let to = client.location(to.clone()).await?;
                client::copy(&*from, &*to, &metadata, &self.replace()).await?;
                Ok(())
            }
        }
    }

    async fn mv(&self, client: Client) -> CommandResult {
        let (Target::At(from), Target::At(to)) = (&self.source, self.whole_target()?) else {
            return Err(Failure::usage("a stream cannot be moved").hint("copy it: etagfs cp"));
        };
        let from = client.location(from.clone()).await?;
        let to = client.location(to).await?;
        Ok(client::rename(&*from, &*to, &self.replace()).await?)
    }

    fn replace(&self) -> Replace {
        Replace {
            expect: match (&self.if_match, self.no_clobber) {
                (None, false) => None,
                (version, _) => Some(Precondition::from(version.clone())),
            },
            retry: self.patience.retry(),
        }
    }

    /// The target, with the name of the source if it is a place for keys.
    fn whole_target(&self) -> Result<Target, Failure> {
        let is_container = match &self.target {
            Target::Stream => false,
            Target::At(client::Target::Url(_)) => self.target.to_string().ends_with('/'),
            Target::At(client::Target::Path(path)) => path.is_dir(),
        };
        match (&self.source, &self.target) {
            (Target::At(from), Target::At(to)) if is_container => Ok(Target::At(to.beside(from)?)),
            _ => Ok(self.target.clone()),
        }
    }
}

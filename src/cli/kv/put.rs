//! `etagfs put` and `etagfs create`: one value, under a condition.

use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args as ClapArgs;

use super::metadata_args::{self, MetadataArgs};
use super::patience::RetryOptions;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::backend::Limits;
use crate::cli::output::{self, say, say_json};
use crate::cli::report::Failure;
use crate::client::{self, Client, Location, Retry};
use crate::model::{Precondition, Version};

/// The options of `put`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Put {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    condition: PutCondition,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// What a save demands to find.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Condition")]
struct PutCondition {
    /// Replace this version and no other: compare-and-set. Exit with 75 if somebody else was first.
    /// Without a condition the version that is there is replaced, whatever it is.
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version)]
    if_match: Option<Version>,
    /// Save only if the key does not exist, like create.
    #[arg(long, conflicts_with = "if_match")]
    if_none_match: bool,
}

/// The options of `create`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Create {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, ClapArgs)]
struct What {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// The file that holds the value; - is standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// In a konserve store: save the bytes as a binary value, whatever they mean (bassoc). A binary
    /// value stays binary without this option.
    #[arg(long)]
    binary: bool,
    /// Print one JSON object instead of the new ETag.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    said: MetadataArgs,
}

/// Saves the value and prints its ETag.
pub(in crate::cli) fn put(args: &Put) -> CommandResult {
    args.reach.run(async |client| {
        let condition = &args.condition;
        let expect = match (&condition.if_match, condition.if_none_match) {
            (Some(version), _) => Some(Precondition::Is(version.clone())),
            (None, true) => Some(Precondition::Absent),
            (None, false) => None,
        };
        args.what.save(&client, expect, args.patience.retry()).await
    })
}

/// Creates the key and prints its ETag.
pub(in crate::cli) fn create(args: &Create) -> CommandResult {
    args.reach.run(async |client| {
        let expect = Some(Precondition::Absent);
        args.what.save(&client, expect, Retry::none()).await
    })
}

impl What {
    async fn save(
        &self,
        client: &Client,
        expect: Option<Precondition>,
        retry: Retry,
    ) -> CommandResult {
        let mut location = client.location(self.target.address()?).await?;
        if self.binary {
            location = location.binary()?;
        }
        let bytes = input(&self.file)?;
        let metadata = self.said.metadata();
        let version = match expect {
            Some(expect) => client::put_if(&*location, bytes.clone(), &metadata, &expect).await?,
            None => client::put(&*location, bytes.clone(), &metadata, retry).await?,
        };
        let version = location.version_of(version, &bytes).await;
        let etag = version.as_ref().map(Version::etag);
        let told = match (self.json, etag) {
            (true, etag) => {
                let mut map = metadata_args::target(&*location);
                map.insert("etag".to_owned(), etag.into());
                say_json(&map.into())
            }
            (false, Some(etag)) => say(&format!("{etag}\n")),
            (false, None) => Ok(()),
        };
        told.map_err(|failure| failure.after(&saved(&*location, version.as_ref())))
    }
}

/// What to say of a save when its ETag cannot be printed.
pub(super) fn saved(location: &dyn Location, version: Option<&Version>) -> String {
    let label = location.label();
    match version {
        Some(version) => format!("{label} was saved, as {version}"),
        None => format!("{label} was saved"),
    }
}

/// All of a file, or of standard input.
///
/// # Errors
/// When it cannot be read.
pub(super) fn input(file: &std::path::Path) -> Result<Bytes, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("{} could not be read: {error}", file.display()))
    };
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let most = Limits::S3.value_bytes;
        let mut input = output::input()?.take(most + 1);
        input.read_to_end(&mut bytes).map_err(failed)?;
        return match bytes.len() as u64 > most {
            true => Err(Failure::new(format!(
                "standard input is longer than {most} bytes, which is all that a value can have"
            ))),
            false => Ok(bytes.into()),
        };
    }
    Ok(std::fs::read(file).map_err(failed)?.into())
}

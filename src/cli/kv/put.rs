//! `etagfs put` and `etagfs create`: one value, under a condition.

use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args as ClapArgs;
use uuid::Uuid;

use super::backoff::Patience;
use super::place::Place;
use super::said::{self, Said, Travels};
use super::session::{self, Reach, Session};
use super::target::Target;
use crate::backend::Limits;
use crate::cli::output::{self, say, say_json};
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, PutId, Version};
use crate::store::Envelope;

/// The options of `put`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Put {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    condition: Condition,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

/// What a save demands to find.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Condition")]
struct Condition {
    /// Replace this version and no other: compare-and-set. Exit with 75 if somebody else was first.
    /// Without a condition the version that is there is replaced, whatever it is.
    #[arg(long, value_name = "ETAG", value_parser = said::version)]
    if_match: Option<Version>,
    /// Only if the key does not exist, like create.
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
    /// In a konserve store: keep the bytes themselves, whatever they mean (bassoc). A value that is
    /// binary already stays so without this.
    #[arg(long)]
    binary: bool,
    /// Print one JSON object instead of the new ETag.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    said: Said,
}

/// Saves the value and prints its ETag.
pub(in crate::cli) fn put(args: &Put) -> session::Outcome {
    args.reach.run(async |session| {
        let condition = &args.condition;
        let expect = match (&condition.if_match, condition.if_none_match) {
            (Some(version), _) => Some(Expect::Is(version.clone())),
            (None, true) => Some(Expect::Absent),
            (None, false) => None,
        };
        args.what.save(&session, expect, args.patience).await
    })
}

/// Creates the key and prints its ETag.
pub(in crate::cli) fn create(args: &Create) -> session::Outcome {
    args.reach.run(async |session| {
        let expect = Some(Expect::Absent);
        args.what.save(&session, expect, Patience::none()).await
    })
}

impl What {
    async fn save(
        &self,
        session: &Session<'_>,
        expect: Option<Expect>,
        patience: Patience,
    ) -> session::Outcome {
        let mut place = session.place(&self.target).await?;
        if self.binary {
            place = place.binary()?;
        }
        let bytes = input(&self.file)?;
        let travels = self.said.travels();
        let version = match expect {
            Some(expect) => put_if(&place, bytes.clone(), &travels, &expect).await?,
            None => put_over(&place, bytes.clone(), &travels, patience).await?,
        };
        let version = place.version_of(version, &bytes).await;
        let etag = version.as_ref().map(Version::etag);
        let told = match (self.json, etag) {
            (true, etag) => {
                let mut map = said::target(&place);
                map.insert("etag".to_owned(), etag.into());
                say_json(&map.into())
            }
            (false, Some(etag)) => say(&format!("{etag}\n")),
            (false, None) => Ok(()),
        };
        told.map_err(|failure| failure.after(&saved(&place, version.as_ref())))
    }
}

/// What to say of a save when its ETag cannot be printed.
pub(super) fn saved(place: &Place, version: Option<&Version>) -> String {
    let label = place.label();
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

/// Saves a value under a condition. A value that replaces one keeps what travels with that, unless it
/// is said: then it is one request, else two.
///
/// # Errors
/// A conflict when the condition does not hold.
pub(super) async fn put_if(
    place: &Place,
    bytes: Bytes,
    travels: &Travels,
    expect: &Expect,
) -> Result<Option<Version>, Failure> {
    let id = PutId::new(Uuid::new_v4().as_u128());
    put_if_as(place, bytes, travels, expect, id).await
}

/// The same, under a number that the caller knows again.
///
/// # Errors
/// As [`put_if`].
pub(super) async fn put_if_as(
    place: &Place,
    bytes: Bytes,
    travels: &Travels,
    expect: &Expect,
    id: PutId,
) -> Result<Option<Version>, Failure> {
    let kept = match (expect, place) {
        (Expect::Is(version), Place::Remote(_)) if *travels == Travels::Kept => {
            let found = place.look().await?;
            let found = found.filter(|about| about.version.as_ref() == Some(version));
            found.ok_or_else(|| place.conflict(expect))?.envelope
        }
        _ => Envelope::default(),
    };
    let envelope = travels.over(kept, &bytes);
    let outcome = place.save_as(bytes, &envelope, expect, id).await?;
    settled(place, outcome, expect)
}

/// Saves a value over whatever is there: the version that is there now is replaced, and no newer one
/// unseen. Two requests, and two more for each time that somebody else is faster.
///
/// # Errors
/// A conflict when patience ends.
pub(super) async fn put_over(
    place: &Place,
    bytes: Bytes,
    travels: &Travels,
    patience: Patience,
) -> Result<Option<Version>, Failure> {
    let mut tries = patience.begin();
    loop {
        let outcome = match place {
            Place::Path(path) => {
                let meta = travels.over(Envelope::default(), &bytes).meta;
                path.overwrite(&bytes, &meta)?.map(|()| None)
            }
            Place::Remote(_) => {
                let asked = std::time::Instant::now();
                let found = place.look().await?;
                tries.measured(asked.elapsed());
                let (expect, kept) = match found {
                    Some(about) => (Expect::from(about.version), about.envelope),
                    None => (Expect::Absent, Envelope::default()),
                };
                place
                    .save(bytes.clone(), &travels.over(kept, &bytes), &expect)
                    .await?
            }
        };
        match outcome {
            Outcome::Saved(version) => return Ok(version),
            Outcome::Unknown => return Err(place.unknown()),
            Outcome::Refused(_) if tries.another().await => {}
            Outcome::Refused(_) => return Err(place.contended(tries.made())),
        }
    }
}

/// What a save under a condition came to.
///
/// # Errors
/// A conflict, or that nothing is known.
pub(super) fn settled<T>(
    place: &Place,
    outcome: Outcome<T>,
    expect: &Expect,
) -> Result<T, Failure> {
    match outcome {
        Outcome::Saved(saved) => Ok(saved),
        Outcome::Refused(_) => Err(place.conflict(expect)),
        Outcome::Unknown => Err(place.unknown()),
    }
}

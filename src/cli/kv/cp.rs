//! `etagfs cp` and `etagfs mv`: a value from one place to another, with what travels with it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use clap::Args as ClapArgs;

use super::backoff::Patience;
use super::path::PathKey;
use super::place::{About, Answer, Content, Place, Wanted};
use super::put::{input, put_if, put_over};
use super::rm::remove_if;
use super::said::{self, Said, Travels};
use super::session::{self, Reach, Session};
use super::target::Target;
use crate::cli::output::copy;
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, Version};
use crate::store::Envelope;

/// The options of `cp`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Cp {
    #[command(flatten)]
    pair: Pair,
    #[command(flatten)]
    said: Said,
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
    /// To where. What ends with / is taken for the place of a key with the same name; - is standard
    /// output.
    target: Target,
    /// Only if the target does not exist; exit with 75 if it does.
    #[arg(long, short)]
    no_clobber: bool,
    /// Replace this version of the target and no other.
    #[arg(long, value_name = "ETAG", value_parser = said::version, conflicts_with = "no_clobber")]
    if_match: Option<Version>,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

/// Copies.
pub(in crate::cli) fn cp(args: &Cp) -> session::Outcome {
    args.pair.reach.run(async |session| {
        if args.pair.source == Target::Stream {
            let content = Content::Memory(input(Path::new("-"))?);
            return args.pair.save(&session, content, args.said.travels()).await;
        }
        let source = session.place(&args.pair.source).await?;
        let (about, content) = read(&source).await?;
        let travels = match args.said.travels() {
            Travels::Kept => copied(about.envelope),
            said => said,
        };
        args.pair.save(&session, content, travels).await
    })
}

/// Moves.
pub(in crate::cli) fn mv(args: &Mv) -> session::Outcome {
    args.pair
        .reach
        .run(async |session| args.pair.mv(session).await)
}

impl Pair {
    async fn mv(&self, session: Session<'_>) -> session::Outcome {
        let target = self.whole_target();
        if self.source == Target::Stream || target == Target::Stream {
            return Err(Failure::usage("a stream cannot be moved").hint("copy it: etagfs cp"));
        }
        let source = session.place(&self.source).await?;
        let (about, content) = read(&source).await?;
        let there = session.place(&target).await?;
        self.be_two(&source, &about, &there).await?;
        self.save(&session, content, copied(about.envelope.clone()))
            .await?;
        let gone = match (&source, &about.version) {
            (_, Some(version)) => remove_if(&source, version).await,
            (Place::Path(path), None) => remove_as_read(path, &about),
            (Place::Remote(_), None) => Err(source.unknown()),
        };
        gone.map_err(|failure| {
            let (message, code) = (failure.message().to_owned(), failure.exit_code());
            Failure::conflict(format!("{message}; {target} has been written"))
                .hint("both exist now, and nothing is lost: compare them, and delete one")
                .code(code)
        })
    }

    /// That the two are not one key under two names: deleting the source would delete the copy.
    async fn be_two(&self, source: &Place, about: &About, target: &Place) -> session::Outcome {
        let one = match &about.version {
            Some(version) => {
                let there = target.look().await?;
                there.and_then(|there| there.version).as_ref() == Some(version)
            }
            None => match (source, target) {
                (Place::Path(source), Place::Path(target)) => {
                    let id = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
                    matches!((id(source.path()), id(target.path())), (Ok(a), Ok(b)) if a == b)
                }
                _ => false,
            },
        };
        match one {
            false => Ok(()),
            true => Err(Failure::new(format!(
                "{} has this value already, and may be the same as {}",
                target.label(),
                source.label()
            ))
            .hint("if they are two, delete the source: etagfs rm")),
        }
    }

    /// The target, with the name of the source if it is a place for keys.
    fn whole_target(&self) -> Target {
        let is_container = match &self.target {
            Target::Stream => false,
            Target::Url(_) => self.target.to_string().ends_with('/'),
            Target::Path(path) => path.is_dir(),
        };
        match self.source.name() {
            Some(name) if is_container => self.target.join(&name),
            _ => self.target.clone(),
        }
    }

    async fn save(
        &self,
        session: &Session<'_>,
        content: Content,
        travels: Travels,
    ) -> session::Outcome {
        let target = self.whole_target();
        if target == Target::Stream {
            return copy(content.reader()?);
        }
        let place = session.place(&target).await?;
        let bytes: Bytes = content.into_bytes()?;
        match (&self.if_match, self.no_clobber) {
            (None, false) => put_over(&place, bytes, &travels, self.patience).await?,
            (version, _) => {
                let expect = Expect::from(version.clone());
                put_if(&place, bytes, &travels, &expect).await?
            }
        };
        Ok(())
    }
}

/// Deletes a file that has no version if it still looks as it did when it was read.
fn remove_as_read(path: &PathKey, about: &About) -> session::Outcome {
    let now = path.look()?;
    let is_same = now.is_some_and(|now| (now.modified, now.size) == (about.modified, about.size));
    match is_same.then(|| path.unlink()).transpose()? {
        Some(Outcome::Saved(_)) => Ok(()),
        _ => Err(Failure::conflict(format!(
            "{} was changed while it was copied",
            path.label()
        ))),
    }
}

async fn read(source: &Place) -> Result<(About, Content), Failure> {
    match source.read(&Wanted::Newest, None).await? {
        Answer::Got(got) => Ok((got.about, got.content)),
        Answer::Absent | Answer::Other | Answer::Unchanged => Err(source.absent()),
    }
}

/// What travels with a copy; a type that says nothing leaves it to the name of the copy.
fn copied(envelope: Envelope) -> Travels {
    let mut rest = envelope.clone();
    rest.meta.content_type = rest
        .meta
        .content_type
        .filter(|kind| !kind.ends_with("/octet-stream"));
    match rest == Envelope::default() {
        true => Travels::Kept,
        false => Travels::Copied(envelope),
    }
}

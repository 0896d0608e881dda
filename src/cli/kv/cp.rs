//! `etagfs cp` and `etagfs mv`: a value from one place to another, with what travels with it.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use clap::Args as ClapArgs;
use uuid::Uuid;

use super::backoff::Patience;
use super::identity::Identity;
use super::place::{About, Answer, Content, Place, Wanted};
use super::put::{input, put_if_as};
use super::rm::remove_if;
use super::said::{self, Said, Travels};
use super::session::{self, Reach, Session};
use super::target::Target;
use crate::cli::output::copy;
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, PutId, Version};
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
    args.pair
        .reach
        .run(async |session| args.pair.cp(&args.said, session).await)
}

/// Moves.
pub(in crate::cli) fn mv(args: &Mv) -> session::Outcome {
    args.pair
        .reach
        .run(async |session| args.pair.mv(session).await)
}

impl Pair {
    async fn cp(&self, said: &Said, session: Session<'_>) -> session::Outcome {
        let target = self.whole_target();
        let source = match &self.source {
            Target::Stream => None,
            source => Some(session.place(source).await?),
        };
        let (content, travels) = match &source {
            None => (Content::Memory(input(Path::new("-"))?), said.travels()),
            Some(source) => {
                let (about, content) = read(source).await?;
                let travels = match said.travels() {
                    Travels::Kept => copied(about.envelope),
                    said => said,
                };
                (content, travels)
            }
        };
        if target == Target::Stream {
            return copy(content.reader()?);
        }
        let target = session.place(&target).await?;
        let id = PutId::new(Uuid::new_v4().as_u128());
        self.save(source.as_ref(), &target, content, &travels, id)
            .await
            .map(drop)
    }

    async fn mv(&self, session: Session<'_>) -> session::Outcome {
        let target = self.whole_target();
        if self.source == Target::Stream || target == Target::Stream {
            return Err(Failure::usage("a stream cannot be moved").hint("copy it: etagfs cp"));
        }
        let source = session.place(&self.source).await?;
        let there = session.place(&target).await?;
        for place in [&source, &there] {
            if let Place::Path(path) = place {
                path.is_regular()?;
            }
        }
        if let Place::Path(path) = &source {
            path.can_be_deleted()?;
        }
        let (about, content) = read(&source).await?;
        if about.envelope.is_log() || matches!(&source, Place::Path(path) if path.is_log()) {
            let log = source.label();
            return Err(Failure::new(format!(
                "{log}: a log cannot be moved or copied as a file"
            ))
            .hint("its elements are not in the file; copy its lines: etagfs log LOG | etagfs append COPY"));
        }
        let travels = copied(about.envelope.clone());
        let id = PutId::new(Uuid::new_v4().as_u128());
        let saved = self
            .save(Some(&source), &there, content, &travels, id)
            .await?;
        if let Some(version) = &about.version {
            remain_two(&source, version, &there, saved, id).await?;
        }
        let gone = match (&source, &about.version) {
            (_, Some(version)) => remove_if(&source, version).await,
            (Place::Path(path), None) => path.remove_as_read(),
            (Place::Remote(_), None) => Err(source.unknown()),
        };
        gone.map_err(|failure| {
            let message = failure.message().to_owned();
            // Not the code of a conflict: something was written.
            Failure::new(format!("{message}; {target} has been written"))
                .hint("both may exist now, and nothing is lost: compare them, and delete one")
        })
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

    /// Saves the value over the version of the target that it was compared with, which is not that of the
    /// source under another name; again, if somebody else is first. The version that this made, where the save
    /// itself tells it.
    async fn save(
        &self,
        source: Option<&Place>,
        target: &Place,
        content: Content,
        travels: &Travels,
        id: PutId,
    ) -> Result<Option<Version>, Failure> {
        let bytes: Bytes = content.into_bytes()?;
        let chosen = match (&self.if_match, self.no_clobber) {
            (None, false) => None,
            (version, _) => Some(Expect::from(version.clone())),
        };
        if let Some(expect) = chosen {
            be_two(source, target).await?;
            return put_if_as(target, bytes, travels, &expect, id).await;
        }
        let mut tries = self.patience.begin();
        loop {
            let asked = Instant::now();
            let found = target.look().await?;
            tries.measured(asked.elapsed());
            be_two(source, target).await?;
            let outcome = save_over(target, &bytes, travels, found, id).await?;
            match outcome {
                Outcome::Saved(version) => return Ok(version),
                Outcome::Unknown => return Err(target.unknown()),
                Outcome::Refused(_) if tries.another().await => {}
                Outcome::Refused(_) => return Err(target.contended(tries.made())),
            }
        }
    }
}

/// That the two are not one under two names: a copy would replace what was saved since the source was read, and
/// a move would delete it.
async fn be_two(source: Option<&Place>, target: &Place) -> session::Outcome {
    let Some(source) = source else {
        return Ok(());
    };
    let (one, other) = (source.identity().await?, target.identity().await?);
    // It was read: that it is not there now says nothing of what it was.
    if one == Identity::Nothing {
        return Err(source.absent().code(1));
    }
    one.is_not(&other, &source.label(), &target.label())
}

/// That a move deletes no object that it has just written. A bucket can have two names that nobody tells apart (an
/// alias, an access point, a proxy that renames), and if the copy has the ETag of the source, its condition would
/// hold. Two objects with one value have one ETag too, but never the number of one save. Asks nobody unless the
/// ETags are equal.
async fn remain_two(
    source: &Place,
    read: &Version,
    target: &Place,
    saved: Option<Version>,
    id: PutId,
) -> session::Outcome {
    let is_one = async {
        let saved = match (saved, target) {
            (None, Place::Path(_)) => target.look().await?.and_then(|about| about.version),
            (saved, _) => saved,
        };
        if saved.as_ref() != Some(read) {
            return Ok(false);
        }
        let ours = match target {
            Place::Remote(_) => Some(id),
            Place::Path(_) => target.last_put().await?,
        };
        Ok::<_, Failure>(ours.is_some() && source.last_put().await? == ours)
    };
    let (source, target) = (source.label(), target.label());
    match is_one.await {
        Ok(false) => Ok(()),
        Ok(true) => Err(Failure::new(format!(
            "{source} and {target} are one object under two names, and nothing was deleted"
        ))
        .hint("its value is what it was; to delete one of them is to delete both")),
        Err(failure) => Err(Failure::new(format!(
            "{}; {target} has been written, and nothing was deleted",
            failure.message()
        ))
        .hint("before you delete one, find out whether they are one object under two names")),
    }
}

/// Saves a value over what was found, and nothing else.
async fn save_over(
    target: &Place,
    bytes: &Bytes,
    travels: &Travels,
    found: Option<About>,
    id: PutId,
) -> Result<Outcome<Option<Version>>, Failure> {
    let (version, kept) = match found {
        Some(about) => (about.version, about.envelope),
        None => (None, Envelope::default()),
    };
    match target {
        // It has no versions, or is not there; in a mount it is then made, and replaces nothing.
        Place::Path(path) if version.is_none() && !path.is_to_be_made()? => {
            let meta = travels.over(Envelope::default(), bytes).meta;
            Ok(path.overwrite(bytes, &meta)?.map(|()| None))
        }
        Place::Path(_) | Place::Remote(_) => {
            let expect = Expect::from(version);
            let envelope = travels.over(kept, bytes);
            target.save_as(bytes.clone(), &envelope, &expect, id).await
        }
    }
}

async fn read(source: &Place) -> Result<(About, Content), Failure> {
    match source.read(&Wanted::Newest, None).await? {
        Answer::Got(got) => {
            let mut about = got.about;
            about.envelope = source.with_tags(about.envelope).await?;
            Ok((about, got.content))
        }
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

//! `etagfs probe`, and the check before every mount that can write (A3).
//!
//! The verdict on a bucket is remembered in the state directory for a day, so that mounting it again
//! costs one request.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args as ClapArgs;

use super::hints::Trouble;
use super::output::say;
use super::report::Failure;
use super::source::{Connection, Source};
use super::state::make_private;
use super::{log, runtime};
use crate::backend::probe::{Conditional, NotProbed, Probe, probe};
use crate::backend::{Backend, Denial, Error, Habits, ObjectKey};
use crate::vfs::replace;

/// How long a good verdict is believed.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The options of `probe`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// What to probe: s3://BUCKET[/PREFIX]. The probe creates a scratch object there and removes it again.
    source: String,
    #[command(flatten)]
    connection: Connection,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Probes, prints what was found, and fails if the server cannot be written to safely.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    log::start("error", log::Destination::Stderr).map_err(Failure::usage)?;
    let source = Source::parse(&args.source, &args.connection)?;
    let found = runtime()?.block_on(async {
        let backend = args.connection.connect(&source).await?;
        let found = probe(&*backend, &source.prefix).await;
        found.map_err(|none| not_probed(none, &source.label(), Failure::from))
    })?;
    let text = match args.json {
        true => json(&found),
        false => prose(&found, &source.label()),
    };
    say(&text)?;
    match &found.conditional {
        Conditional::None { why } => Err(refusal(&source.label(), why)),
        Conditional::Full | Conditional::PutsOnly { .. } => Ok(()),
    }
}

fn prose(found: &Probe, label: &str) -> String {
    let verdict = match &found.conditional {
        Conditional::Full => "conditional puts and deletes: safe to write".to_owned(),
        Conditional::PutsOnly { why } => {
            format!("conditional puts: safe to write; deletes are not conditional: {why}")
        }
        Conditional::None { why } => format!("no conditional writes: {why}"),
    };
    let yes = |fact| if fact { "yes" } else { "no" };
    let mut text = format!(
        "{label}\n  {verdict}\n  keeps the id of a put: {}\n  shows versions in listings: {}\n",
        yes(found.keeps_put_id),
        yes(found.lists_versions),
    );
    if found.spelling.is_bare {
        text.push_str("  wants ETags without quotes in If-Match\n");
    }
    if let Some(key) = &found.left_behind {
        text.push_str(&format!("  {}\n", left_behind(key)));
    }
    text
}

fn left_behind(key: &ObjectKey) -> String {
    format!("the scratch object {key} could not be removed: delete it")
}

/// The probe found out nothing, because of `error`; the message names the object that is left.
fn not_probed(none: NotProbed, label: &str, error: impl FnOnce(Error) -> Failure) -> Failure {
    let failure = error(none.error);
    match none.left_behind {
        Some(key) => failure.after(&format!("{label}: {}", left_behind(&key))),
        None => failure,
    }
}

fn json(found: &Probe) -> String {
    let (verdict, why) = match &found.conditional {
        Conditional::Full => ("full", None),
        Conditional::PutsOnly { why } => ("puts-only", Some(why)),
        Conditional::None { why } => ("none", Some(why)),
    };
    let value = serde_json::json!({
        "conditional": verdict,
        "why": why,
        "keeps_put_id": found.keeps_put_id,
        "lists_versions": found.lists_versions,
        "quotes_etags": !found.spelling.is_bare,
        "left_behind": found.left_behind.as_ref().map(ObjectKey::as_str),
    });
    format!("{value}\n")
}

fn refusal(label: &str, why: &str) -> Failure {
    Failure::new(format!(
        "{label} cannot be written to safely: its server does not do conditional writes ({why})"
    ))
    .because(&Trouble::Unconditional)
}

fn may_not_write(label: &str, why: &str) -> Failure {
    Failure::new(format!(
        "{label} may not be written to, access was denied ({why})"
    ))
    .because(&Trouble::MayNotWrite)
}

/// Makes sure that a bucket may be written to. A good verdict is remembered of what was `asked`: which
/// bucket, where, and with whose credentials.
///
/// # Errors
/// When its server ignores or rejects conditions, or cannot be asked.
pub(super) async fn require_conditions(
    backend: &dyn Backend,
    source: &Source,
    asked: &str,
    state_dir: Option<&Path>,
) -> Result<(), Failure> {
    if recall(backend, asked, state_dir) {
        return Ok(());
    }
    let label = source.label();
    let found = match probe(backend, &source.prefix).await {
        Ok(found) => found,
        Err(none) => {
            return Err(not_probed(none, &label, |error| match error {
                Error::Denied {
                    why,
                    to: Denial::Request,
                    ..
                } => may_not_write(&label, &why.to_string()),
                error => error.into(),
            }));
        }
    };
    if let Some(key) = &found.left_behind {
        tracing::warn!(source = %label, "{}", left_behind(key));
    }
    match &found.conditional {
        Conditional::None { why } => return Err(refusal(&source.label(), why)),
        Conditional::PutsOnly { why } => {
            tracing::warn!(source = %source.label(), why, "deletes are not conditional here: a delete may hit a version that its caller has not seen");
        }
        Conditional::Full => {}
    }
    if !found.keeps_put_id {
        tracing::warn!(source = %source.label(), "this server does not keep the id of a put: saves whose reply is lost will be reported as failed");
    }
    // Without the note the next mount asks again.
    if let Some(note) = state_dir.map(|dir| note_path(dir, asked, backend)) {
        let habits = backend.habits().map_or_else(String::new, Habits::to_text);
        let _ = remember(&note, &format!("{asked} {}\n{habits}\n", backend.server()));
    }
    Ok(())
}

/// Takes over what was found out before of what was `asked`, if that was a good verdict of the last day.
pub(super) fn recall(backend: &dyn Backend, asked: &str, state_dir: Option<&Path>) -> bool {
    let Some(note) = state_dir.map(|dir| note_path(dir, asked, backend)) else {
        return false;
    };
    if !is_remembered(&note) {
        return false;
    }
    match backend.habits() {
        None => true,
        Some(habits) => fs::read_to_string(&note).is_ok_and(|text| {
            text.lines()
                .nth(1)
                .is_some_and(|line| habits.learn_text(line))
        }),
    }
}

fn note_path(state_dir: &Path, asked: &str, backend: &dyn Backend) -> PathBuf {
    // The environment may name another server than the last time.
    let about = format!("{asked}{}", backend.server());
    let id = uuid::Uuid::from_u128(about.bytes().fold(
        // FNV-1a, 128 bit.
        0x6c62_272e_07bb_0142_62b8_2175_6295_c58d,
        |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        },
    ));
    state_dir.join("probes").join(id.to_string())
}

fn is_remembered(note: &Path) -> bool {
    let age = fs::metadata(note)
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age < REMEMBERED)
}

fn remember(note: &Path, text: &str) -> std::io::Result<()> {
    if let Some(dir) = note.parent() {
        make_private(dir)?;
    }
    replace(note, text.as_bytes())
}

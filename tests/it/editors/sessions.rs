//! What is done with every editor, and what must come of it: saves that nobody disturbs, and saves
//! that another machine was faster than. What the user saw on the way is returned as words, for the
//! table in `docs/editors.md`.

use super::desk::{Came, Desk, FIRST, journal};
use super::editor::Editor;
use super::terminal::Terminal;
use crate::world::counted::Counted;
use crate::world::proxy::{Log, Op, Record};
use crate::world::servers::{self, Bucket, Kind};

/// More than any editor needs.
const PATIENCE: usize = 8;

/// The cells of an editor's row.
///
/// # Errors
/// Why nothing can be mounted here.
pub(super) fn row(editor: &Editor) -> Result<Vec<String>, String> {
    let server = servers::shared(Kind::Embedded)?;
    let terminal = Terminal::start();
    let cost = lucky(|| undisturbed(editor, &server.bucket(), &terminal));
    let [seen, seen_twice] = lucky(|| overtaken(editor, &server.bucket(), &terminal, Sight::Fresh));
    let [unseen, unseen_twice] =
        lucky(|| overtaken(editor, &server.bucket(), &terminal, Sight::Stale));
    Ok(vec![cost, seen, seen_twice, unseen, unseen_twice])
}

/// The name of a temporary file may look like that of a key, see [`Record::ends_with_a_word`], and a save
/// may last over the end of a second, see [`Desk::was_overtaken_by_the_clock`]. Then the session says nothing
/// (nobody promises it), and there is another.
fn lucky<T>(session: impl FnMut() -> Option<T>) -> T {
    let mut sessions = std::iter::repeat_with(session).take(5);
    sessions
        .find_map(|result| result)
        .expect("random names are random")
}

/// Whether a temporary file was taken for a key.
fn is_unlucky(writes: &Log, keys: &[&str]) -> bool {
    let mut writes = writes.0.iter();
    writes.any(|one| !keys.contains(&&*one.key) && one.ends_with_a_word())
}

/// Opens, changes, saves, saves again, and leaves.
fn undisturbed(editor: &Editor, bucket: &Bucket, terminal: &Terminal) -> Option<String> {
    bucket.client().put("alone", FIRST);
    let ground = Counted::of(bucket, |mount| mount.flat());
    let mut desk = Desk::open(editor, &ground, terminal, "alone");
    let mut text = FIRST.to_owned();
    for number in 1..=2 {
        let line = format!("{}\n", desk.change());
        let at = match editor.grows_at_top {
            true => text.len() - FIRST.len(),
            false => text.len(),
        };
        text.insert_str(at, &line);
        let came = desk.save();
        assert!(matches!(came, Came::Saved), "save {number}: {came:?}");
        assert_eq!(desk.value(), text, "save {number}");
        if desk.was_overtaken_by_the_clock() {
            return None;
        }
    }
    assert_eq!(desk.quit(), "0", "the editor's exit status");
    assert_eq!(journal(&ground), "", "nobody disturbed anybody");
    let ended = ground.unmount();
    let writes = writes(&ended.requests, |_| true);
    let puts = writes.of(Op::Put).len();
    if is_unlucky(&writes, &["alone"]) {
        return None;
    }
    assert_eq!(ended.other.keys(), ["alone"], "{writes}");
    assert_eq!(
        (writes.0.len(), puts),
        (2, 2),
        "two saves made these requests:\n{writes}"
    );
    Some("1 PUT".to_owned())
}

/// The requests that may change something.
fn writes(log: &Log, also: impl Fn(&Record) -> bool) -> Log {
    let reads = [Op::List, Op::Get, Op::Head];
    let writes = log
        .0
        .iter()
        .filter(|one| !reads.contains(&one.op) && also(one));
    Log(writes.cloned().collect())
}

/// Whether the editor can see, before it saves, that somebody else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// `stat` tells what was there a second ago, and the other machine saved before that.
    Fresh,
    /// `stat` may tell what was there minutes ago.
    Stale,
}

/// Opens, changes, and saves when another machine has done so meanwhile; then does what the editor
/// takes to save nevertheless. The second time the other machine saves once more, right after the user
/// learned of the first time.
fn overtaken(
    editor: &Editor,
    bucket: &Bucket,
    terminal: &Terminal,
    sight: Sight,
) -> Option<[String; 2]> {
    let rounds = [("once", false), ("twice", true)];
    for (file, _) in rounds {
        bucket.client().put(file, FIRST);
    }
    let ttl = match sight {
        Sight::Fresh => "1",
        Sight::Stale => "600",
    };
    let ground = Counted::of(bucket, |mount| mount.flat().arg("--ttl").arg(ttl));
    let cells = rounds.map(|(file, again)| {
        let desk = Desk::open(editor, &ground, terminal, file);
        overrule(desk, sight, again)
    });
    let ended = ground.unmount();
    let writes = writes(&ended.requests, |one| {
        one.status.is_none_or(|status| status < 300)
    });
    if is_unlucky(&writes, &rounds.map(|(file, _)| file)) {
        return None;
    }
    let each: Vec<_> = writes
        .0
        .iter()
        .map(|one| (one.op, one.key.as_str()))
        .collect();
    assert_eq!(each, [(Op::Put, "once"), (Op::Put, "twice")], "{writes}");
    assert_eq!(ended.other.keys(), ["once", "twice"], "{writes}");
    Some(cells)
}

/// What the user does and sees until the text is saved over that of the other machine.
#[track_caller]
fn overrule(mut desk: Desk<'_>, sight: Sight, mut again: bool) -> String {
    let mut winner = "theirs\n";
    desk.change();
    desk.somebody_else_saves(winner);
    if sight == Sight::Fresh {
        desk.wait_for_stat(winner);
    }
    // Whether anybody told of the winner.
    let mut told = false;
    let mut has_failed = false;
    let mut story = Vec::new();
    let (mut act, mut came) = match desk.editor.is_watchful && sight == Sight::Fresh {
        true => ("by itself", desk.notice()),
        false => ("save", desk.save()),
    };
    for _ in 0..PATIENCE {
        if let Came::Asked(question) = came
            && desk.editor.may_ask_again
            && has_failed
        {
            assert_eq!(desk.value(), winner, "{}", story.join("; "));
            came = desk.answer(question);
        }
        let what = match came {
            Came::Saved => "saved",
            Came::Asked(_) => "asks",
            Came::Failed(_) if desk.editor.forgets => "error, and marked as saved",
            Came::Failed(_) => "error",
            Came::Silent => "**silent**, text in `rescue`",
            Came::Dropped => "**silent**, text lost",
        };
        story.push(format!("{act}: {what}"));
        let story = story.join("; ");
        match came {
            Came::Saved if desk.editor.reads_again && !told => {
                desk.quit();
                return format!("{story} over what it read and **nobody saw**");
            }
            Came::Saved => {
                assert!(told, "replaced what nobody was told of: {story}");
                desk.quit();
                return story;
            }
            // What it noticed by looking at the attributes may be older than what is there.
            Came::Asked(_) => told |= sight == Sight::Fresh || desk.was_read(),
            Came::Dropped => {}
            Came::Failed(failure) => {
                (told, has_failed) = (true, true);
                desk.regret(failure);
            }
            Came::Silent => {
                told = true;
                assert!(desk.is_rescued(), "the text is not in rescue: {story}");
            }
        }
        assert_eq!(desk.value(), winner, "{story}");
        // An editor that looks all the time asks at any moment now: it does so first.
        let is_about_to_ask = desk.editor.is_watchful && matches!(came, Came::Failed(_));
        if again && !is_about_to_ask {
            (again, told) = (false, false);
            winner = "theirs again\n";
            desk.somebody_else_saves(winner);
            if sight == Sight::Fresh {
                desk.wait_for_stat(winner);
            }
        }
        (act, came) = match came {
            Came::Asked(question) => ("yes", desk.answer(question)),
            _ if desk.editor.is_script => {
                // It reads the file again.
                told = true;
                desk.change();
                ("run again", desk.save())
            }
            Came::Failed(_) if desk.editor.is_watchful => ("by itself", desk.notice()),
            Came::Failed(_) if !desk.editor.forgets => ("save", desk.save()),
            _ => {
                desk.change_again();
                ("change and save", desk.save())
            }
        };
    }
    panic!("the editor never saves: {}", story.join("; "));
}

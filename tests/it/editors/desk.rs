//! Somebody who edits one file: opens it, adds lines, saves, reads the screen, answers questions. It
//! knows what a reaction of the editor means, and finds out what became of the save: the bucket and
//! the mount's journal tell, not the editor. What should become of it: [`super::sessions`].

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::editor::{Editor, Key, Meaning, Reaction, Sign};
use super::terminal::{ENDED, Terminal};
use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Mark, Op};
use crate::world::{rescues, wait};

/// What a file holds when it is opened.
pub(super) const FIRST: &str = "first line\n";

/// How long an editor that says that it saved may take to correct itself. Only those that never do
/// are waited for so long, and there are none.
const SECOND_THOUGHTS: Duration = Duration::from_secs(20);

/// What came of trying to save.
#[derive(Clone, Copy, Debug)]
pub(super) enum Came {
    /// The text is in the bucket.
    Saved,
    /// The editor asks, or refuses to go on unless told again; this is how it is told.
    Asked(&'static Reaction),
    /// The editor says that it could not; this is how that message is left.
    Failed(&'static Reaction),
    /// The editor believes that it saved, and the save was refused.
    Silent,
    /// The editor ended without a complaint, and did not even try to save.
    Dropped,
}

/// An open file.
pub(super) struct Desk<'a> {
    pub(super) editor: &'a Editor,
    pub(super) ground: &'a Counted,
    terminal: &'a Terminal,
    pub(super) file: &'a str,
    lines: usize,
    /// The newest line that was typed.
    line: String,
    /// When the other machine last saved.
    theirs: Mark,
    /// The second in which the last save began.
    begun: Cell<u64>,
}

impl<'a> Desk<'a> {
    /// Opens the file, which is in the bucket.
    #[track_caller]
    pub(super) fn open(
        editor: &'a Editor,
        ground: &'a Counted,
        terminal: &'a Terminal,
        file: &'a str,
    ) -> Self {
        let desk = Self {
            editor,
            ground,
            terminal,
            file,
            lines: 0,
            line: String::new(),
            theirs: ground.proxy.mark(),
            begun: Cell::default(),
        };
        let command = format!("{} {file}", editor.command);
        terminal.run(&command, ground.mount.path());
        desk.shown(editor.opened);
        desk
    }

    /// Adds a line; it.
    #[track_caller]
    pub(super) fn change(&mut self) -> String {
        self.add_line(self.editor.change)
    }

    /// Adds a line to what was not saved, although the editor takes it for saved.
    #[track_caller]
    pub(super) fn change_again(&mut self) -> String {
        self.add_line(self.editor.change_again)
    }

    #[track_caller]
    fn add_line(&mut self, keys: &[Key]) -> String {
        self.lines += 1;
        self.line = format!(
            "{} of {}",
            ["zero", "one", "two", "three", "four", "five"][self.lines],
            self.file
        );
        self.work(keys);
        self.shown(&self.line);
        self.line.clone()
    }

    /// Waits until the editor asks by itself.
    #[track_caller]
    pub(super) fn notice(&self) -> Came {
        let mut question = None;
        self.until("the editor notices by itself", || {
            let screen = self.screen();
            let mut questions = self.editor.reactions.iter();
            question =
                questions.find(|one| one.meaning == Meaning::Asks && screen.contains(one.text));
            question.is_some()
        });
        Came::Asked(question.unwrap())
    }

    /// Does what saves, and looks what comes of it.
    #[track_caller]
    pub(super) fn save(&self) -> Came {
        self.work(self.editor.calm);
        self.until("the last message goes away", || self.reaction().is_none());
        let conflicts = self.conflicts();
        if self.editor.trusts_its_clock {
            // Saved in a later second than it was written, the text would seem to be another's.
            self.until("a second begins", || now().subsec_millis() < 200);
        }
        self.begun.set(now().as_secs());
        self.work(self.editor.save);
        self.outcome(conflicts)
    }

    /// Whether the editor takes what it just saved for another's, since its clock told one second when it
    /// wrote and the store's the next when that arrived: a slow machine takes so long.
    pub(super) fn was_overtaken_by_the_clock(&self) -> bool {
        let stored = self.ground.other.head(self.file).unwrap().modified;
        self.editor.trusts_its_clock && i64::try_from(self.begun.get()).unwrap() != stored
    }

    /// Answers a question as somebody does who wants to save, and looks what comes of it.
    #[track_caller]
    pub(super) fn answer(&self, question: &Reaction) -> Came {
        let conflicts = self.conflicts();
        self.reply(question);
        self.outcome(conflicts)
    }

    /// Answers, and waits until the question is gone.
    #[track_caller]
    fn reply(&self, question: &Reaction) {
        self.work(question.answer);
        if !question.answer.is_empty() {
            self.until("the question goes away", || {
                self.reaction().is_none_or(|one| one.text != question.text)
            });
        }
    }

    /// Leaves the editor, which must let go; its exit status.
    #[track_caller]
    pub(super) fn quit(self) -> String {
        self.work(self.editor.calm);
        self.work(self.editor.quit);
        self.shown(ENDED);
        // Emacs leaves compilers behind, who end a little later.
        self.until("nobody uses the mount", || {
            !is_in_use(self.ground.mount.path())
        });
        let screen = self.terminal.screen();
        let (_, status) = screen.rsplit_once(ENDED).unwrap();
        status.trim().to_owned()
    }

    /// What the bucket holds.
    #[track_caller]
    pub(super) fn value(&self) -> String {
        self.ground.other.text(self.file)
    }

    /// Leaves the message of a failure; the newest line is still on the screen then, or in a rescue.
    #[track_caller]
    pub(super) fn regret(&self, failure: &Reaction) {
        self.reply(failure);
        self.until("the text is on the screen, or in a rescue", || {
            self.screen().contains(&self.line) || self.is_rescued()
        });
    }

    /// Whether the newest line is among the rescues.
    pub(super) fn is_rescued(&self) -> bool {
        rescues::of_key(self.ground.mount.state_dir(), self.file)
            .iter()
            .any(|bytes| bytes.contains(&self.line))
    }

    /// Another machine saves, in a later second than whoever saved last: a few editors look at nothing
    /// but the seconds.
    #[track_caller]
    pub(super) fn somebody_else_saves(&mut self, text: &str) {
        let last = self.ground.other.head(self.file).unwrap().modified;
        wait::until("a later second", wait::SOON, || {
            i64::try_from(now().as_secs()).unwrap() > last
        });
        self.ground.other.put(self.file, text.to_owned());
        self.theirs = self.ground.proxy.mark();
    }

    /// Waits until `stat` tells of what the other machine saved.
    #[track_caller]
    pub(super) fn wait_for_stat(&self, text: &str) {
        let size = format!("{}\n", text.len());
        let stat = format!("stat -c %s {}", self.file);
        self.until("stat tells of the other machine's save", || {
            self.ground.run(Script::dash(&stat)).stdout == size
        });
    }

    /// Whether the mount fetched what the other machine saved last, because somebody read the file.
    pub(super) fn was_read(&self) -> bool {
        let log = self.ground.proxy.since(self.theirs).key(self.file);
        log.of(Op::Get).iter().any(|get| get.status == Some(200))
    }

    /// How many changes of this file the mount knows to have failed.
    #[track_caller]
    fn conflicts(&self) -> usize {
        let journal = journal(self.ground);
        journal
            .lines()
            .filter(|line| line.contains(self.file))
            .count()
    }

    /// Waits until it is clear what came of a save; answers what always has to be answered.
    #[track_caller]
    fn outcome(&self, conflicts: usize) -> Came {
        let mut came = None;
        loop {
            self.until("it is clear what came of the save", || {
                came = self.look(conflicts);
                came.is_some()
            });
            match came {
                // Some say that they saved, and a moment later that they could not.
                Some(Look::Came(Came::Silent))
                    if wait::eventually(SECOND_THOUGHTS, || self.reaction().is_some()) => {}
                Some(Look::Came(came)) => return came,
                Some(Look::Routine(reaction)) => self.reply(reaction),
                None => {}
            }
        }
    }

    fn look(&self, conflicts: usize) -> Option<Look> {
        let screen = self.screen();
        if let Some(reaction) = self.reaction_on(&screen) {
            return Some(match reaction.meaning {
                Meaning::Routine => Look::Routine(reaction),
                Meaning::Asks => Look::Came(Came::Asked(reaction)),
                Meaning::Fails => Look::Came(Came::Failed(reaction)),
            });
        }
        let believes = match self.editor.saved {
            Sign::Shows(text) => screen.contains(text),
            Sign::Lacks(text) => !screen.contains(text),
        };
        if !believes {
            return None;
        }
        if self.value().contains(&self.line) {
            return Some(Look::Came(Came::Saved));
        }
        match self.conflicts() > conflicts {
            true => Some(Look::Came(Came::Silent)),
            false => self.editor.is_script.then_some(Look::Came(Came::Dropped)),
        }
    }

    /// The reaction that is lowest on the screen.
    fn reaction(&self) -> Option<&'static Reaction> {
        self.reaction_on(&self.screen())
    }

    fn reaction_on(&self, screen: &str) -> Option<&'static Reaction> {
        let places = self.editor.reactions.iter();
        let shown = places.filter_map(|one| Some((screen.rfind(one.text)?, one)));
        shown.max_by_key(|(place, _)| *place).map(|(_, one)| one)
    }

    fn screen(&self) -> String {
        // A line that ends with a question, and nothing after it, is told from an answered one.
        let screen = self.terminal.screen();
        screen
            .lines()
            .map(|line| format!("{}$\n", line.trim_end()))
            .collect()
    }

    #[track_caller]
    fn work(&self, keys: &[Key]) {
        for key in keys {
            match key {
                Key::Type(text) => self.terminal.text(text),
                Key::Press(name) => self.terminal.press(name),
                Key::Line => self.terminal.text(&self.line),
                Key::Shown(text) => self.shown(text),
                Key::Gone(text) => self.until(&format!("{text:?} is gone"), || {
                    !self.screen().contains(text)
                }),
                Key::Wipe => self.terminal.wipe(),
            }
        }
    }

    #[track_caller]
    fn shown(&self, text: &str) {
        self.until(&format!("the screen shows {text:?}"), || {
            self.screen().contains(text)
        });
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        let what = format!("{} with {}: {what}", self.editor.name, self.file);
        wait::until(&what, wait::SOON, condition);
    }
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Whether a process works in this directory, or has a file in it open.
fn is_in_use(directory: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let files = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        let links = files
            .map(|file| file.path())
            .chain([process.path().join("cwd")]);
        links
            .filter_map(|link| fs::read_link(link).ok())
            .any(|at| at.starts_with(directory))
    })
}

/// What the mount tells of changes that did not happen. Another process reads it: a file that this one
/// has open is open in every child that a test starts at that moment, and keeps the mount busy.
#[track_caller]
pub(super) fn journal(ground: &Counted) -> String {
    ground
        .run(Script::dash("cat .etagfs/conflicts"))
        .ok()
        .stdout
}

/// What is there to be seen after a save.
enum Look {
    Came(Came),
    Routine(&'static Reaction),
}

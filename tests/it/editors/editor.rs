//! What an editor is to a test: a command, keys, and the texts by which it tells what happened. Data
//! only; the editors themselves are in [`super::catalog`], what is done with them in [`super::desk`].

/// Something that is done at the keyboard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    /// Types these characters.
    Type(&'static str),
    /// Presses a key by its name in tmux.
    Press(&'static str),
    /// Types the line that is to be added.
    Line,
    /// Waits until the screen shows this.
    Shown(&'static str),
    /// Waits until the screen shows it no more.
    Gone(&'static str),
    /// Empties the screen, for editors that only ever write below what they wrote.
    Wipe,
}

/// What a text on the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The editor noticed that somebody else saved, and leaves it to the user.
    Asks,
    /// The editor says that it could not save.
    Fails,
    /// A question that has nothing to do with anybody else: it is answered, and nothing is said of it.
    Routine,
}

/// A text on the screen, and the keys that answer it: those of a user who wants to save.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reaction {
    pub(super) text: &'static str,
    pub(super) meaning: Meaning,
    pub(super) answer: &'static [Key],
}

/// How an editor tells that it believes to have saved.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    /// It shows this.
    Shows(&'static str),
    /// It no longer shows this mark of a changed text.
    Lacks(&'static str),
}

/// An editor in one of its settings. Its commands end with the name of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Editor {
    /// Its row in `docs/editors.md`.
    pub(super) name: &'static str,
    /// The program without which the test is skipped.
    pub(super) program: &'static str,
    /// The command, without the file.
    pub(super) command: &'static str,
    /// What the screen shows when the file is open.
    pub(super) opened: &'static str,
    /// Adds a line to the text.
    pub(super) change: &'static [Key],
    /// Adds a line to a text that it takes for saved, and that somebody else has saved.
    pub(super) change_again: &'static [Key],
    /// New lines go above the old ones, each below the last new one; else to the end.
    pub(super) grows_at_top: bool,
    pub(super) save: &'static [Key],
    pub(super) saved: Sign,
    pub(super) reactions: &'static [Reaction],
    /// Makes the last message go away.
    pub(super) calm: &'static [Key],
    /// It looks at the file all the time, and asks before anybody saves.
    pub(super) is_watchful: bool,
    /// It reads the file again before it saves over it, and shows nobody what it has read: for the mount
    /// that is somebody who knows what he replaces.
    pub(super) reads_again: bool,
    /// It takes the time of what it wrote for that of what is stored, second by second.
    pub(super) trusts_its_clock: bool,
    /// After a save that failed it may ask or not, depending on when it looked; both count as saving again.
    pub(super) may_ask_again: bool,
    /// It takes the text for saved although it said that it could not save it.
    pub(super) forgets: bool,
    /// Each save is the end of it; it is run again to try again.
    pub(super) is_script: bool,
    /// Leaves the editor when all is saved.
    pub(super) quit: &'static [Key],
}

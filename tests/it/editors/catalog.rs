//! The editors, with their settings, keys and messages. A key or a message that changes with a version
//! is changed here. What the words mean is in [`super::editor`].

use super::editor::Key::{Gone, Line, Press, Shown, Type, Wipe};
use super::editor::Meaning::{Asks, Fails, Routine};
use super::editor::{Editor, Key, Reaction, Sign};

/// The file's first line, as somebody else has put it there.
const OPENED: &str = "first line";

/// What the C library says of `EAGAIN`.
const EAGAIN: &str = "Resource temporarily unavailable";

const ENTER: &[Key] = &[Press("Enter")];

/// Where the cursor is, which is where the last line was added.
const LINE: &[Key] = &[Line, Press("Enter")];

/// As ed does it.
const APPEND: &[Key] = &[
    Wipe,
    Type("$a"),
    Press("Enter"),
    Line,
    Press("Enter"),
    Type("."),
    Press("Enter"),
];

const fn asks(text: &'static str, answer: &'static [Key]) -> Reaction {
    Reaction {
        text,
        meaning: Asks,
        answer,
    }
}

const fn fails(text: &'static str, answer: &'static [Key]) -> Reaction {
    Reaction {
        text,
        meaning: Fails,
        answer,
    }
}

const fn routine(text: &'static str, answer: &'static [Key]) -> Reaction {
    Reaction {
        text,
        meaning: Routine,
        answer,
    }
}

pub(super) const VIM: Editor = Editor {
    name: "vim",
    program: "vim",
    // `backupskip` names /tmp, where the tests mount: there vim makes no backup, and saves in another way.
    command: "vim -c 'set backupskip='",
    opened: OPENED,
    change: &[
        Type("Go"),
        Shown("-- INSERT --"),
        Line,
        Press("Escape"),
        Gone("-- INSERT --"),
    ],
    change_again: &[
        Type("Go"),
        Shown("-- INSERT --"),
        Line,
        Press("Escape"),
        Gone("-- INSERT --"),
    ],
    grows_at_top: false,
    save: &[Type(":w"), Press("Enter")],
    saved: Sign::Shows(" written"),
    reactions: &[
        asks("(y/n)?$", &[Type("y")]),
        // E512, E667: close or fsync failed; E212: open. "Press ENTER" follows what is longer than a line.
        fails("E512:", ENTER),
        fails("E667:", ENTER),
        fails("E212:", ENTER),
        fails("E514:", ENTER),
    ],
    calm: &[
        Type(":echo"),
        Press("Enter"),
        Gone(" written"),
        Gone("Press ENTER"),
    ],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Type(":q"), Press("Enter")],
};

pub(super) const VIM_NOWRITEBACKUP: Editor = Editor {
    name: "vim, `nowritebackup`",
    command: "vim -c 'set backupskip= nowritebackup'",
    may_ask_again: true,
    ..VIM
};

pub(super) const VIM_BACKUPCOPY: Editor = Editor {
    name: "vim, `backupcopy=yes`",
    command: "vim -c 'set backupskip= backupcopy=yes'",
    may_ask_again: true,
    ..VIM
};

pub(super) const VIM_BACKUP: Editor = Editor {
    name: "vim, `backup`",
    command: "vim -c 'set backupskip= backup'",
    ..VIM
};

pub(super) const NVIM: Editor = Editor {
    name: "nvim",
    program: "nvim",
    command: "nvim -c 'set backupskip='",
    ..VIM
};

pub(super) const NANO: Editor = Editor {
    name: "nano",
    program: "nano",
    command: "nano",
    opened: OPENED,
    change: LINE,
    change_again: LINE,
    grows_at_top: true,
    save: &[Press("C-o"), Shown("File Name to Write"), Press("Enter")],
    saved: Sign::Shows("[ Wrote "),
    reactions: &[
        routine("File exists, OVERWRITE ?", &[Type("y")]),
        asks("File on disk has changed", &[Type("y")]),
        fails("Error writing", &[]),
    ],
    // Any command makes the last message go away; this one shows where the cursor is.
    calm: &[Press("C-c"), Shown("[ line ")],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Press("C-x")],
};

pub(super) const NANO_BACKUP: Editor = Editor {
    name: "nano `-B`",
    command: "nano -B",
    ..NANO
};

pub(super) const EMACS: Editor = Editor {
    name: "emacs",
    program: "emacs",
    command: "emacs -nw",
    opened: OPENED,
    change: LINE,
    change_again: LINE,
    grows_at_top: true,
    save: &[Press("C-x"), Press("C-s")],
    saved: Sign::Shows("Wrote /"),
    reactions: &[
        asks("Save anyway? (yes or no)", &[Type("yes"), Press("Enter")]),
        asks("really edit the buffer? (y, n", &[Type("y")]),
        fails(EAGAIN, &[]),
    ],
    calm: &[Press("C-x"), Type("="), Shown("point=")],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Press("C-x"), Press("C-c")],
};

pub(super) const EMACS_BY_COPYING: Editor = Editor {
    name: "emacs, `backup-by-copying`",
    command: "emacs -nw --eval '(setq backup-by-copying t)'",
    ..EMACS
};

pub(super) const EMACS_PRECIOUS: Editor = Editor {
    name: "emacs, `file-precious-flag`",
    command: "emacs -nw --eval '(setq-default file-precious-flag t)'",
    change_again: &[
        Press("Space"),
        Shown("really edit the buffer?"),
        Type("y"),
        Gone("really edit the buffer?"),
        Line,
        Press("Enter"),
    ],
    forgets: true,
    ..EMACS
};

pub(super) const MICRO: Editor = Editor {
    name: "micro",
    program: "micro",
    command: "micro",
    opened: OPENED,
    change: LINE,
    change_again: LINE,
    grows_at_top: true,
    save: &[Press("C-s")],
    saved: Sign::Shows("Saved "),
    reactions: &[
        asks("Reload file? (y,n,esc)", &[Type("n")]),
        fails("resource temporarily unavailable", &[]),
    ],
    // Opens and leaves its command line.
    calm: &[Press("C-e"), Shown("\n>"), Press("Escape"), Gone("\n>")],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Press("C-q")],
};

pub(super) const MCEDIT: Editor = Editor {
    name: "mcedit",
    program: "mcedit",
    command: "mcedit",
    opened: OPENED,
    change: LINE,
    change_again: LINE,
    grows_at_top: true,
    save: &[Press("F2")],
    saved: Sign::Lacks("[-M--]"),
    reactions: &[
        routine("Confirm save file", ENTER),
        asks("modified in the meantime", &[Type("y")]),
        fails("Enter file name", &[Press("F10"), Gone("Enter file name")]),
    ],
    calm: &[],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Press("F10")],
};

pub(super) const KAKOUNE: Editor = Editor {
    name: "kakoune",
    program: "kak",
    command: "kak",
    opened: OPENED,
    change: &[
        Type("geo"),
        Shown("insert"),
        Line,
        Press("Escape"),
        Gone("insert"),
    ],
    change_again: &[
        Type("geo"),
        Shown("insert"),
        Line,
        Press("Escape"),
        Gone("insert"),
    ],
    grows_at_top: false,
    save: &[Type(":w"), Press("Enter")],
    saved: Sign::Lacks("[+]"),
    reactions: &[
        asks(
            "y, <ret>: reload",
            &[
                Type("n"),
                Gone("<ret>"),
                Type(":w"),
                Gone(EAGAIN),
                Press("Enter"),
            ],
        ),
        fails(EAGAIN, &[]),
    ],
    calm: &[Type(":echo"), Press("Enter")],
    is_watchful: true,
    reads_again: true,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Type(":q"), Press("Enter")],
};

pub(super) const JOE: Editor = Editor {
    name: "joe",
    program: "joe",
    command: "joe",
    opened: OPENED,
    change: LINE,
    change_again: LINE,
    grows_at_top: true,
    save: &[
        Press("C-k"),
        Type("d"),
        Shown("Name of file to save"),
        Press("Enter"),
    ],
    saved: Sign::Shows(" saved"),
    reactions: &[
        asks("Overwrite (y,n,^C)?", &[Type("y")]),
        fails("Error ", &[]),
    ],
    calm: &[Press("Left"), Gone(" saved"), Press("Right")],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Press("C-k"), Type("x")],
};

pub(super) const NE: Editor = Editor {
    name: "ne",
    program: "ne",
    command: "ne",
    opened: OPENED,
    change: LINE,
    change_again: LINE,
    grows_at_top: true,
    save: &[Press("C-s")],
    saved: Sign::Shows("Saved."),
    reactions: &[
        asks("are you sure?", &[Type("y")]),
        fails("I/O error", &[]),
        fails("Can't open file", &[]),
    ],
    calm: &[Press("Left"), Shown(" L: "), Press("Right")],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Press("C-q")],
};

pub(super) const VIS: Editor = Editor {
    name: "vis",
    program: "vis",
    command: "vis",
    opened: OPENED,
    change: &[
        Type("Go"),
        Shown("INSERT"),
        Line,
        Press("Escape"),
        Gone("INSERT"),
    ],
    change_again: &[
        Type("Go"),
        Shown("INSERT"),
        Line,
        Press("Escape"),
        Gone("INSERT"),
    ],
    grows_at_top: false,
    save: &[Type(":w"), Press("Enter")],
    saved: Sign::Lacks("[+]"),
    reactions: &[
        asks(
            "WARNING: file has been changed",
            &[Type(":w!"), Press("Enter")],
        ),
        fails("Can't write", &[]),
    ],
    // Any key; this one goes to the begin of the line.
    calm: &[Type("0")],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: true,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Type(":q"), Press("Enter")],
};

pub(super) const NVI: Editor = Editor {
    name: "nvi",
    program: "nvi",
    command: "nvi",
    opened: OPENED,
    change: &[Type("Go"), Line, Press("Escape")],
    change_again: &[Type("Go"), Line, Press("Escape")],
    grows_at_top: false,
    save: &[Type(":w"), Press("Enter")],
    saved: Sign::Shows(" characters."),
    reactions: &[
        asks("use ! to override", &[Type(":w!"), Press("Enter")]),
        fails(EAGAIN, &[]),
    ],
    calm: &[Press("C-g"), Shown(": line ")],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Type(":q"), Press("Enter")],
};

pub(super) const ED: Editor = Editor {
    name: "ed",
    program: "ed",
    command: "ed -v -p '*'",
    opened: "*$",
    change: APPEND,
    change_again: APPEND,
    grows_at_top: false,
    save: &[Type("w"), Press("Enter")],
    saved: Sign::Shows("$\n*$"),
    reactions: &[fails(EAGAIN, &[Wipe, Type(",p"), Press("Enter")])],
    calm: &[Wipe],
    is_watchful: false,
    reads_again: false,
    trusts_its_clock: false,
    may_ask_again: false,
    forgets: false,
    is_script: false,
    quit: &[Type("q"), Press("Enter")],
};

pub(super) const EX: Editor = Editor {
    name: "ex",
    program: "ex",
    command: "ex -c 'set backupskip='",
    opened: ":$",
    change: APPEND,
    save: &[Type("w"), Press("Enter")],
    reactions: &[
        asks("(y/n)?$", &[Type("y")]),
        fails("E512:", &[Wipe, Type("%p"), Press("Enter")]),
        fails("E667:", &[Wipe, Type("%p"), Press("Enter")]),
    ],
    calm: &[Wipe],
    quit: &[Type("q"), Press("Enter")],
    ..VIM
};

/// A script that reads one line, adds it, and saves when it is told to.
const SCRIPT: &str = r#"sh -c '
while read -r line; do
    printf "%s\n" "set backupskip=" "\$a" "$line" . "!echo ready; read go </dev/tty" w q | ex -s "$0"
    echo "exit status $?"
done'"#;

pub(super) const EX_SILENT: Editor = Editor {
    name: "ex `-s` in a script",
    command: SCRIPT,
    opened: "",
    change: &[Wipe, Line, Press("Enter"), Shown("\nready$")],
    save: &[Wipe, Press("Enter")],
    saved: Sign::Shows("exit status 0"),
    reactions: &[fails("exit status 1", &[])],
    is_script: true,
    quit: &[Press("C-d")],
    ..EX
};

//! A history before it happens: what is begun when, and what goes wrong. Made from a seed alone.
//!
//! Each step has a number that stays with it when others are dropped, and all chance in it comes from that
//! number: so a story can be shortened, and what is left of it happens as before.

use std::time::Duration;

use fastrand::Rng;

use super::wrong::Wrong;

/// How the versions of the store come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    /// No two values ever share one.
    Unique,
    /// They are made from the bytes, as those of most stores.
    OfContent,
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// `cat`; perhaps it stays at the end and reads on.
    Read,
    /// Opens to read and write, reads all, changes it in place.
    Edit,
    /// `echo x > f`.
    Overwrite,
    /// A shell whose child reads, and which then writes `> f` itself, through a child that inherits it.
    Script,
    /// Opens to append; one or several lines.
    Append,
    /// Reads, writes a temporary file, moves it over.
    Replace,
    /// As [`Replace`](Self::Replace), by a temporary file as mkstemp(3) makes them.
    ReplaceByScratch,
    /// As vim: moves the file to a backup, creates it anew, deletes the backup; cleans up if that fails.
    Backup,
    /// `mkdir` as a lock.
    LockByDirectory,
    /// `O_EXCL` as a lock.
    LockByFile,
    /// A shell's `set -C; echo $$ > lock`.
    LockByShell,
    /// `rm f`, perhaps after a look into it.
    Remove,
    /// `mv f g`.
    Move,
    /// `setfattr`.
    Describe,
    /// `truncate -s`.
    Truncate,
    /// `ls`.
    List,
    /// `stat`.
    Look,
    /// Writes, and is killed before it closes.
    Die,
    /// Keeps a swap file as editors do: writes it, makes it durable, leaves it there.
    Swap,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) mount: usize,
    /// Which of the jobs of its machine.
    pub(crate) job: usize,
    /// The first process of that job itself; otherwise one that it starts.
    pub(crate) itself: bool,
}

/// Something that is begun, or goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Run(Who, Deed, &'static str),
    /// Somebody who knows nothing of etagfs saves; what was there some time ago if `restores`.
    ForeignPut {
        key: &'static str,
        restores: bool,
    },
    ForeignDelete(&'static str),
    /// No message of this mount arrives, for so long.
    Outage(usize, Duration),
    /// The daemon dies; it is started again so much later.
    Crash(usize, Duration),
    /// The daemon is told to stop; it is started again so much later.
    Stop(usize, Duration),
    /// SIGHUP.
    DropCaches(usize),
    /// The kernel of this machine needs memory.
    Forget(usize),
    /// The state directories have no room, for so long.
    FullDisk(Duration),
}

/// A step of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its own, whatever is dropped.
    pub(crate) number: u32,
    pub(crate) at: Duration,
    pub(crate) what: What,
}

/// A history before it happens.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mounts: usize,
    pub(crate) versions: Versions,
    pub(crate) ttl: Duration,
    /// How many of a hundred messages fare badly.
    pub(crate) weather: u8,
    /// Whether messages are doubled.
    pub(crate) doubles: bool,
    /// Whether values are above the inline limit, and so read in pieces.
    pub(crate) pieces: bool,
    pub(crate) steps: Vec<Step>,
    pub(crate) wrong: Option<Wrong>,
}

/// The keys that anything may happen to.
pub(crate) const KEYS: [&str; 4] = ["a", "b", "c", "d/x"];
/// The keys that everybody only appends to.
pub(crate) const LOGS: [&str; 2] = ["log", "d/log"];
/// The directory that is a lock, and the files that are.
pub(crate) const LOCKS: [&str; 3] = ["lock", "once", "shell"];

/// What a history is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    /// Reads and saves, and a bad network.
    Saves,
    /// Editors, temporary files, renames and removals.
    Names,
    /// Crashes, full disks, ends of processes.
    Crashes,
    /// Lines and locks.
    Shared,
}

const SAVES: &[(Deed, u8)] = &[
    (Deed::Read, 4),
    (Deed::Edit, 4),
    (Deed::Overwrite, 4),
    (Deed::Script, 3),
    (Deed::Truncate, 1),
    (Deed::Describe, 1),
    (Deed::Remove, 1),
    (Deed::Look, 1),
    (Deed::List, 1),
];
const NAMES: &[(Deed, u8)] = &[
    (Deed::Read, 2),
    (Deed::Overwrite, 2),
    (Deed::Replace, 3),
    (Deed::ReplaceByScratch, 3),
    (Deed::Backup, 4),
    (Deed::Move, 2),
    (Deed::Remove, 2),
    (Deed::Describe, 1),
    (Deed::List, 2),
    (Deed::Look, 2),
];
const CRASHES: &[(Deed, u8)] = &[
    (Deed::Read, 2),
    (Deed::Edit, 3),
    (Deed::Overwrite, 3),
    (Deed::ReplaceByScratch, 2),
    (Deed::Backup, 2),
    (Deed::Append, 2),
    (Deed::Swap, 3),
    (Deed::Die, 2),
    (Deed::Look, 1),
];
const SHARED: &[(Deed, u8)] = &[
    (Deed::Append, 8),
    (Deed::LockByDirectory, 4),
    (Deed::LockByFile, 3),
    (Deed::LockByShell, 3),
    (Deed::Read, 2),
    (Deed::List, 1),
];

impl Theme {
    fn of(seed: u64) -> Self {
        [Self::Saves, Self::Names, Self::Crashes, Self::Shared][(seed % 4) as usize]
    }

    fn deeds(self) -> &'static [(Deed, u8)] {
        match self {
            Self::Saves => SAVES,
            Self::Names => NAMES,
            Self::Crashes => CRASHES,
            Self::Shared => SHARED,
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

fn deed(rng: &mut Rng, theme: Theme) -> Deed {
    let deeds = theme.deeds();
    let mut at = rng.u8(..deeds.iter().map(|(_, weight)| *weight).sum::<u8>());
    for (deed, weight) in deeds {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return *deed,
        }
    }
    Deed::Read
}

fn key_for(rng: &mut Rng, deed: Deed, theme: Theme) -> &'static str {
    match deed {
        Deed::Append => pick(rng, &LOGS),
        Deed::LockByDirectory => LOCKS[0],
        Deed::LockByFile => LOCKS[1],
        Deed::LockByShell => LOCKS[2],
        Deed::Read if theme == Theme::Shared => pick(rng, &LOGS),
        // Few keys, so that they meet.
        _ => KEYS[rng.usize(..KEYS.len()).min(rng.usize(..KEYS.len()))],
    }
}

impl Plan {
    /// The history of a seed.
    pub(crate) fn of(seed: u64, can_fill: bool) -> Self {
        let theme = Theme::of(seed);
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let mounts = 1 + rng.usize(1..3);
        let length = Duration::from_secs(pick(rng, &[2, 6, 20]));
        let steps = rng.u32(8..40);
        let calm = rng.u8(..4) == 0;
        let mut all: Vec<Step> = (0..steps)
            .map(|number| Step {
                number,
                at: length.mul_f64(rng.f64()),
                what: what(rng, theme, mounts, can_fill),
            })
            .collect();
        all.sort_by_key(|step| (step.at, step.number));
        Self {
            seed,
            mounts,
            versions: pick(
                rng,
                &[Versions::Unique, Versions::Unique, Versions::OfContent],
            ),
            ttl: pick(rng, &[Duration::ZERO, Duration::from_secs(1)]),
            weather: if calm { 0 } else { pick(rng, &[3, 10, 25]) },
            doubles: !calm && rng.bool(),
            pieces: rng.u8(..4) == 0,
            steps: all,
            wrong: None,
        }
    }
}

fn what(rng: &mut Rng, theme: Theme, mounts: usize, can_fill: bool) -> What {
    let mount = rng.usize(..mounts);
    let some = |rng: &mut Rng| Duration::from_millis(rng.u64(50..3000));
    match (rng.u8(..100), theme) {
        (0..8, Theme::Saves | Theme::Names | Theme::Crashes) => What::ForeignPut {
            key: pick(rng, &KEYS),
            restores: rng.u8(..4) == 0,
        },
        (8..10, Theme::Saves | Theme::Names) => What::ForeignDelete(pick(rng, &KEYS)),
        (10..13, _) => What::Outage(mount, Duration::from_secs(rng.u64(1..60))),
        (13..16, _) => What::DropCaches(mount),
        (16..20, _) => What::Forget(mount),
        (20..28, Theme::Crashes) => What::Crash(mount, some(rng)),
        (28..31, Theme::Crashes) => What::Stop(mount, some(rng)),
        (31..36, Theme::Crashes) if can_fill => What::FullDisk(some(rng)),
        (20..22, _) => What::Crash(mount, some(rng)),
        _ => {
            let who = Who {
                mount,
                job: rng.usize(..3),
                itself: rng.bool(),
            };
            let deed = deed(rng, theme);
            What::Run(who, deed, key_for(rng, deed, theme))
        }
    }
}

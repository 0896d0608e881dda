//! Which process learned that there is no such file (W1).
//!
//! The kernel asks for a name in nearly every system call, and the answer alone does not show whether a
//! program learns of it: with `stat` of a missing file it does, with a creating open that then creates the
//! file it does not. So a miss waits until its system call is over: when the same thread asks for another
//! name, or when it matters what was shown of the key. A call of the same thread that then creates the name
//! (a creation, a rename, a directory, a link) takes the miss back, because the look-up belonged to that
//! call.
//!
//! The process is read from `/proc` before the answer, because a `cat` of a missing file is gone after it. A
//! thread that misses many names, as compilers and interpreters do, is looked up once in a while.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::time::Duration;
use tokio::time::Instant;

use lru::LruCache;

use super::super::gone::is_caller_gone;
use super::super::place::Place;
use super::super::{Context, Vfs, Who};
use super::Table;
use crate::model::{Caller, FileName, Ino, Origin};
use crate::store::Child;

/// The misses whose system calls may not be over, and the latest callers.
#[derive(Debug)]
pub(in crate::vfs) struct Misses {
    by_thread: LruCache<u32, (Caller, Place)>,
    callers: LruCache<u32, (Instant, Who)>,
}

/// How many threads are remembered.
const THREADS: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// For how long a thread is taken for one of the same process and job.
const SAME_CALLER: Duration = Duration::from_millis(100);

impl Misses {
    pub(in crate::vfs) fn new() -> Self {
        Self {
            by_thread: LruCache::new(THREADS),
            callers: LruCache::new(THREADS),
        }
    }
}

impl Table {
    /// A thread begins another system call: its process has learned of its earlier misses.
    pub(in crate::vfs) fn end_miss(&mut self, thread: u32) {
        if let Some((caller, place)) = self.misses.by_thread.pop(&thread) {
            self.seen.miss(&caller, &place);
        }
    }

    fn take_back_miss(&mut self, thread: u32, place: &Place) {
        let last = self.misses.by_thread.peek(&thread);
        match last.is_some_and(|(_, missed)| missed == place) {
            true => drop(self.misses.by_thread.pop(&thread)),
            false => self.end_miss(thread),
        }
    }

    /// The key that a name stands for, if there is one.
    fn place_in(&self, parent: Ino, name: &FileName) -> Option<Place> {
        let (store, dir) = self.dir(parent).ok()?;
        match store.child(&dir, name) {
            Ok(Child::Either(key, _) | Child::Key(key)) => Some((store.name(), key)),
            _ => None,
        }
    }

    /// Before the memory of a key is asked or changed: the processes that missed the key have learned of it.
    pub(in crate::vfs) fn settle_misses(&mut self, place: &Place) {
        let missed = self.misses.by_thread.iter();
        let missed = missed.filter(|(_, (_, missed))| missed == place);
        let threads: Vec<_> = missed.map(|(thread, _)| *thread).collect();
        for thread in threads {
            self.end_miss(thread);
        }
    }
}

impl Vfs {
    /// A system call creates the name that it looked up, or is refused for another reason: its program does
    /// not learn that there was no such name.
    pub fn goes_on_to_make(&self, parent: Ino, name: &OsStr, by: Context) {
        let Ok(name) = FileName::new(name) else {
            return;
        };
        let mut table = self.table();
        if let Some(place) = table.place_in(parent, &name) {
            table.take_back_miss(by.thread(), &place);
        }
    }

    /// The caller of a look-up is about to get `ENOENT`.
    pub(in crate::vfs) fn note_miss(&self, parent: Ino, name: &FileName, by: Context) {
        let thread = by.thread();
        if thread == 0
            || is_caller_gone()
            || self.options.read_only
            || self.is_scratch_name(name, Origin::Other)
        {
            return;
        }
        let known = {
            let mut table = self.table();
            let Some(place) = table.place_in(parent, name) else {
                return;
            };
            // The process that moved it away knows where it is.
            if table.pending_renames.is_away(&place) {
                return;
            }
            let callers = &mut table.misses.callers;
            let lately = callers.get(&thread).copied();
            let lately = lately.filter(|(since, _)| since.elapsed() < SAME_CALLER);
            (place, lately)
        };
        let (place, lately) = known;
        let who = match lately {
            Some((_, who)) => who,
            None => self.processes.misser(thread),
        };
        let mut table = self.table();
        if lately.is_none() {
            table.misses.callers.put(thread, (Instant::now(), who));
        }
        let Some(caller) = who else { return };
        let pushed = table.misses.by_thread.push(thread, (caller, place));
        if let Some((_, (caller, place))) = pushed {
            // Its system call was over long ago.
            table.seen.miss(&caller, &place);
        }
    }
}

//! What happened in all histories together: so that a run that tests nothing is seen.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! totals {
    ($($name:ident: $words:literal,)*) => {
        /// What happened.
        #[derive(Debug, Default)]
        pub(crate) struct Totals {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Totals {
            /// Adds those of another.
            pub(crate) fn add(&self, other: &Self) {
                $(self.$name.fetch_add(other.$name.load(Ordering::Relaxed), Ordering::Relaxed);)*
            }

            /// What never happened.
            pub(crate) fn missing(&self) -> Vec<&'static str> {
                let mut missing = Vec::new();
                $(if self.$name.load(Ordering::Relaxed) == 0 {
                    missing.push($words);
                })*
                missing
            }
        }

        impl fmt::Display for Totals {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let all = [$((self.$name.load(Ordering::Relaxed), $words)),*];
                let words: Vec<_> = all.iter().map(|(n, words)| format!("{n} {words}")).collect();
                f.write_str(&words.join(", "))
            }
        }
    };
}

totals! {
    calls: "calls",
    messages: "writes sent",
    bad_messages: "writes that fared badly",
    doubled: "doubled writes",
    saved: "saves",
    refused: "refusals",
    failed: "failures",
    timed_out: "calls that were not answered in time",
    read: "reads",
    absent: "absences",
    renamed: "renames",
    removed: "removals",
    locks: "locks taken",
    locks_refused: "locks refused",
    lines: "lines appended",
    crashes: "crashes",
    stops: "stops",
    rescues: "rescues",
    in_memory: "rescues in memory",
    foreign: "changes by others",
    outages: "outages",
    scratch: "scratch files that outlived a crash",
    late: "writes that arrived late",
}

impl Totals {
    /// One more.
    pub(crate) fn one(&self, of: &AtomicU64) {
        of.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn message(&self, fine: bool) {
        self.one(&self.messages);
        if !fine {
            self.one(&self.bad_messages);
        }
    }

    pub(crate) fn doubled(&self) {
        self.one(&self.doubled);
    }
}

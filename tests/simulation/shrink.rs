//! The shortest story that can be had of a broken promise: steps are dropped while it stays broken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::Broken;
use super::disk::Disk;
use super::history::Ended;
use super::plan::Plan;

/// A broken promise, and the least that breaks it.
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) ended: Ended,
    pub(crate) broken: Broken,
}

/// Drops steps, in halves, quarters and one by one, as long as the same promise is broken.
pub(crate) fn shrink(plan: Plan, ended: Ended, disk: &Arc<Disk>, time: Duration) -> Option<Story> {
    let broken = ended.broken.clone()?;
    let mut best = Story {
        plan,
        ended,
        broken,
    };
    let until = Instant::now() + time;
    let mut size = best.plan.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        let mut is_shorter = false;
        while at < best.plan.steps.len() && Instant::now() < until {
            let mut plan = best.plan.clone();
            let end = (at + size).min(plan.steps.len());
            plan.steps.drain(at..end);
            let ended = super::play(&plan, disk);
            match ended.broken.clone() {
                Some(broken) if broken.promise == best.broken.promise => {
                    best = Story {
                        plan,
                        ended,
                        broken,
                    };
                    is_shorter = true;
                }
                _ => at += size,
            }
        }
        if !is_shorter || size > 1 {
            size /= 2;
        }
    }
    Some(best)
}

impl Story {
    /// It, to be read.
    pub(crate) fn tell(&self) -> String {
        format!(
            "{}\n{}\n{:?}: {}\n",
            self.plan.tell(),
            self.ended.story.join("\n"),
            self.broken.promise,
            self.broken.what,
        )
    }
}

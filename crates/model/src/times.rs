//! When versions were written, as a mount shows it (V5).
//!
//! A store reports whole seconds of its own clock. Programs compare times with the present and with each
//! other: `make` warns of a file from the future, and rebuilds what is older than its sources. So a version
//! shows the store's second, with a fraction of its own, but never a moment after this mount first saw it;
//! and versions that this mount saved show the order of their saves. This module remembers, for the latest
//! versions, what the store's second and the version alone cannot show. It reads no clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Version;

/// How many versions are remembered, in some 8 MiB.
const REMEMBERED: usize = 65_536;

const NANOSECOND: Duration = Duration::from_nanos(1);

/// The distance between two saves that would show the same moment.
const STEP: Duration = Duration::from_micros(1);

/// The part of a second that is for saves whose answer came late in it, or after it: after everything that
/// others saved in it, which this mount may have known.
const LATE: Duration = Duration::from_millis(900);

/// Times of one version that differ by less are the same: servers round.
const ROUNDING: Duration = Duration::from_secs(2);

/// How much time fits into a tenth of a second, see [`squeezed`].
const LONGEST: Duration = Duration::from_secs(86_400);

/// How much shorter it gets: a second becomes a microsecond.
const SQUEEZE: u32 = 1_000_000;

/// What is remembered of a version.
#[derive(Clone, Copy, Debug)]
struct Noted {
    /// When this mount saved it, if it did.
    saved: Option<SystemTime>,
    /// The time that the store reported.
    told: Option<SystemTime>,
    shown: SystemTime,
}

/// The times of versions.
#[derive(Debug)]
pub struct Times {
    noted: HashMap<u64, Noted>,
    /// The remembered ones, the oldest first.
    order: VecDeque<u64>,
    /// What the saves of this mount show that the store has reported, by their moments.
    own: BTreeMap<SystemTime, SystemTime>,
    last: SystemTime,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            noted: HashMap::new(),
            order: VecDeque::new(),
            own: BTreeMap::new(),
            last: UNIX_EPOCH,
        }
    }
}

impl Times {
    /// This mount saved a version just `now`. Returns the moment to remember it by, which is later than those
    /// of all saves before.
    pub fn saved(&mut self, place: &impl Hash, version: &Version, now: SystemTime) -> SystemTime {
        let moment = now.max(self.last + NANOSECOND);
        self.last = moment;
        let noted = Noted {
            saved: Some(moment),
            told: None,
            shown: moment,
        };
        self.note(digest(place, version), noted);
        moment
    }

    /// The time that a version shows, if the store reported this one, or [`saved`](Self::saved) returned it.
    pub fn shown(
        &mut self,
        place: &impl Hash,
        version: &Version,
        told: SystemTime,
        now: SystemTime,
    ) -> SystemTime {
        let digest = digest(place, version);
        let own = match self.noted.get(&digest) {
            Some(noted) if noted.saved == Some(told) => return noted.shown,
            Some(noted) => match (noted.told, noted.saved) {
                (Some(before), _) if is_same(before, told) => return noted.shown,
                (None, saved) => saved,
                // Another writer saved the same bytes again.
                (Some(_), _) => None,
            },
            None => None,
        };
        let shown = match own {
            Some(moment) => self.place(moment, told),
            None => {
                let whole = second(told) + fraction(version);
                if whole <= now {
                    // It will say the same the next time.
                    return whole;
                }
                match now.duration_since(second(told)) {
                    // In the current second: some programs compare nothing else.
                    Ok(passed) => second(told) + passed.mul_f64(fraction(version).as_secs_f64()),
                    Err(_) => seen_ahead(whole, now),
                }
            }
        };
        let noted = Noted {
            saved: own,
            told: Some(told),
            shown,
        };
        self.note(digest, noted);
        shown
    }

    /// The position of a save of this moment among the others, if the store reported this time.
    fn place(&mut self, moment: SystemTime, told: SystemTime) -> SystemTime {
        let before = self
            .own
            .range(..moment)
            .next_back()
            .map(|(_, shown)| *shown);
        let mut later = self.own.range(moment..);
        let after = later.find(|(at, _)| **at > moment);
        let after = after.map_or(moment + NANOSECOND, |(_, shown)| *shown);
        let mut shown = within(second(told), moment);
        let step = match before {
            Some(before) => STEP.min(after.duration_since(before).unwrap_or_default() / 2),
            None => STEP,
        };
        if let Some(before) = before
            && shown <= before
        {
            shown = before + step;
        }
        if shown >= after {
            shown = after - step;
        }
        self.own.insert(moment, shown);
        shown
    }

    fn note(&mut self, digest: u64, noted: Noted) {
        if let Some(before) = self.noted.insert(digest, noted) {
            if before.saved != noted.saved {
                self.forget_save(before);
            }
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
            && let Some(oldest) = self.noted.remove(&oldest)
        {
            self.forget_save(oldest);
        }
    }

    fn forget_save(&mut self, noted: Noted) {
        if let Some(moment) = noted.saved {
            self.own.remove(&moment);
        }
    }
}

fn digest(place: &impl Hash, version: &Version) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    version.hash(&mut hasher);
    hasher.finish()
}

fn second(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// The fraction of a second that a version shows.
fn fraction(version: &Version) -> Duration {
    let whole = Duration::from_nanos(version.nanos().into());
    whole * 9 / 10
}

fn is_same(one: SystemTime, two: SystemTime) -> bool {
    let apart = one
        .duration_since(two)
        .unwrap_or_else(|error| error.duration());
    apart < ROUNDING
}

/// A moment in the second that begins with this one, in the order of the moments: later ones are at its end,
/// and earlier ones stay as they are.
fn within(second: SystemTime, moment: SystemTime) -> SystemTime {
    let late = second + LATE;
    match moment.duration_since(late) {
        Ok(after) => late + squeezed(after),
        Err(_) => moment,
    }
}

/// A time in the future as one within the last tenth of a second before now, in the same order.
fn seen_ahead(time: SystemTime, now: SystemTime) -> SystemTime {
    let ahead = time.duration_since(now).unwrap_or_default();
    let room = squeezed(LONGEST) - squeezed(ahead);
    now.checked_sub(room).unwrap_or(now)
}

/// Less than a tenth of a second, longer for a longer time.
fn squeezed(time: Duration) -> Duration {
    time.min(LONGEST) / SQUEEZE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds) + Duration::from_millis(millis)
    }

    fn version(n: u32) -> Version {
        Version::new(format!("\"{n}\""))
    }

    #[test]
    fn a_version_of_the_past_shows_the_second_that_the_store_told() {
        let mut times = Times::default();
        let shown = times.shown(&"key", &version(1), at(7, 0), at(9, 0));
        assert_eq!(second(shown), at(7, 0));
        assert_ne!(shown, times.shown(&"key", &version(2), at(7, 0), at(9, 0)));
        assert_eq!(
            shown,
            Times::default().shown(&"key", &version(1), at(7, 0), at(99, 0))
        );
        assert!(times.noted.is_empty());
    }

    /// Of the second that is not over yet, of a clock that is ahead, and of one that is far ahead.
    #[test]
    fn no_version_shows_a_moment_after_it_was_seen_first() {
        for ahead in [0, 1, 5, 3600, 86_400, 10_000_000] {
            let mut times = Times::default();
            for n in 0..100 {
                let now = at(10, u64::from(n));
                let told = at(10 + ahead, 0);
                let shown = times.shown(&"key", &version(n), told, now);
                assert!(shown <= now, "{ahead}");
                for later in [11, 1000] {
                    let again = times.shown(&"key", &version(n), told, at(later, 0));
                    assert_eq!(again, shown, "{ahead}");
                }
            }
        }
    }

    #[test]
    fn what_is_seen_in_its_own_second_shows_that_second() {
        for millis in [0, 1, 20, 500, 999] {
            let (mut times, now) = (Times::default(), at(10, millis));
            for n in 0..100 {
                let shown = times.shown(&"key", &version(n), at(10, 0), now);
                assert_eq!(second(shown), at(10, 0), "{millis}");
                assert!(shown <= now, "{millis}");
            }
        }
    }

    #[test]
    fn what_is_seen_of_the_future_keeps_its_order() {
        let mut times = Times::default();
        let now = at(10, 500);
        let mut last = UNIX_EPOCH;
        for told in [3600, 3601, 3610, 7200, 80_000] {
            let key = format!("saved at {told}");
            let shown = times.shown(&key, &version(1), at(told, 0), now);
            assert!(shown > last && shown <= now, "{told}");
            last = shown;
        }
    }

    /// Whatever the store's clock says, and in whichever order the store tells of them.
    #[test]
    fn own_saves_show_the_order_in_which_they_were_made() {
        let clocks: [(i64, &str); 5] = [
            (0, "right"),
            (1, "a second ahead"),
            (3600, "an hour ahead"),
            (-3, "behind"),
            (-3600, "an hour behind"),
        ];
        for (offset, clock) in clocks {
            for step in [1, 2, 3, 7, 19, 37, 100] {
                let mut times = Times::default();
                let real = |n: u64| at(10_000, 0) + Duration::from_millis(n * 70);
                let server = |n: u64| {
                    let ours = second(real(n));
                    match u64::try_from(offset) {
                        Ok(ahead) => ours + Duration::from_secs(ahead),
                        Err(_) => ours - Duration::from_secs(offset.unsigned_abs()),
                    }
                };
                let place = |n: u64| ("key", n % 5);
                let version = |n: u64| version(u32::try_from(n).unwrap());
                let saved: Vec<_> = (0..100)
                    .map(|n| times.saved(&place(n), &version(n), real(n)))
                    .collect();
                let mut shown = vec![UNIX_EPOCH; 100];
                for n in (0..101).map(|n| n * step % 101).filter(|n| *n < 100) {
                    let index = usize::try_from(n).unwrap();
                    // Until the store told of it, it has the moment that this mount noted.
                    let own = times.shown(&place(n), &version(n), saved[index], real(100));
                    assert_eq!(own, saved[index]);
                    shown[index] = times.shown(&place(n), &version(n), server(n), real(100));
                    assert!(shown[index] <= real(n), "{clock}, {n}");
                    if offset <= 0 {
                        assert_eq!(second(shown[index]), server(n), "{clock}, {n}");
                    }
                }
                assert!(shown.is_sorted_by(|one, two| one < two), "{clock}, {step}");
                for n in 0..100 {
                    let index = usize::try_from(n).unwrap();
                    for told in [saved[index], server(n), server(n) + Duration::from_secs(1)] {
                        let again = times.shown(&place(n), &version(n), told, real(1000));
                        assert_eq!(again, shown[index], "{clock}, {n}");
                    }
                }
            }
        }
    }

    /// What was built of something that was seen is newer than that, in whichever part of a second.
    #[test]
    fn an_own_save_is_newer_than_what_was_seen_before_it() {
        for (ahead, behind) in [(0, 0), (1, 0), (3600, 0), (0, 1), (0, 3600)] {
            let mut times = Times::default();
            for n in 0..3000 {
                let real = |millis: u64| at(10_000, n * 17 + millis);
                let told = |millis| {
                    second(real(millis)) + Duration::from_secs(ahead) - Duration::from_secs(behind)
                };
                let (theirs, ours) = (version(2), version(3));
                let seen = times.shown(&("in", n), &theirs, told(0), real(1));
                let saved = times.saved(&("out", n), &ours, real(7));
                let built = times.shown(&("out", n), &ours, told(5), real(8));
                assert!(seen < built && built <= saved, "{ahead} {behind} {n}");
            }
        }
    }

    #[test]
    fn what_somebody_else_saves_again_has_another_time() {
        let mut times = Times::default();
        times.saved(&"key", &version(1), at(10, 300));
        let ours = times.shown(&"key", &version(1), at(10, 0), at(11, 0));
        let theirs = times.shown(&"key", &version(1), at(20, 0), at(30, 0));
        assert_eq!((second(ours), second(theirs)), (at(10, 0), at(20, 0)));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let mut times = Times::default();
        for n in 0..REMEMBERED + 10 {
            let now = at(n as u64, 0);
            times.saved(&n, &version(1), now);
            times.shown(&n, &version(1), now, now);
            times.shown(&n, &version(1), second(now) - ROUNDING, now);
        }
        assert_eq!(
            (times.noted.len(), times.order.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert_eq!(times.own.len(), REMEMBERED);
    }
}

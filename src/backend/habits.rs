//! What a server was found to do in a way of its own, where S3's is another.
//!
//! One for each bucket that is reached, shared by all its users. The probe finds things out, and so do ordinary
//! answers; `cli/probe.rs` remembers them for the next mount. It makes no request: `s3` spells its conditions and
//! reads its listings by it, `settle` tries the other spellings.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::model::Version;

/// The habits of a server.
#[derive(Debug, Default)]
pub struct Habits {
    listings: AtomicU8,
    /// Of each [`Condition`].
    spellings: [AtomicU8; 3],
    capitals: AtomicBool,
}

/// Where `If-Match` stands; servers have been seen that want another spelling here than there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Before a put.
    Put,
    /// Before a delete.
    Delete,
    /// Before a read.
    Read,
}

/// How an ETag is spelled in a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// Without quotes (DigitalOcean Spaces, and Ceph before a fix: what it compares with has none).
    pub is_bare: bool,
    /// A digest in capitals.
    pub has_capitals: bool,
}

const UNKNOWN: u8 = 0;
/// Of listings.
const TELL: u8 = 1;
const TELL_NOT: u8 = 2;
/// Of a spelling, whose bits are below.
const PROVEN: u8 = 0x80;
const SUPPOSED: u8 = 0x40;

impl Spelling {
    const ALL: [Self; 4] = [Self::of(0), Self::of(1), Self::of(2), Self::of(3)];

    const fn of(bits: u8) -> Self {
        Self {
            is_bare: bits & 1 != 0,
            has_capitals: bits & 2 != 0,
        }
    }

    fn bits(self) -> u8 {
        u8::from(self.is_bare) | u8::from(self.has_capitals) << 1
    }

    /// The version, spelled so.
    pub fn spell(self, version: &Version) -> String {
        let opaque = version.opaque();
        let text = match self.has_capitals && version.is_digest() {
            true => opaque.to_ascii_uppercase(),
            false => opaque.to_owned(),
        };
        match self.is_bare {
            true => text,
            false => format!("\"{text}\""),
        }
    }
}

impl Habits {
    /// Whether listings tell the versions that answers about the object tell; nothing while nobody knows.
    pub fn lists_versions(&self) -> Option<bool> {
        match self.listings.load(Ordering::Relaxed) {
            TELL => Some(true),
            TELL_NOT => Some(false),
            _ => None,
        }
    }

    /// Learns what listings tell.
    pub fn learn_listings(&self, tell: bool) {
        let learned = if tell { TELL } else { TELL_NOT };
        self.listings.store(learned, Ordering::Relaxed);
    }

    /// Learns from the ETag of an object whether digests are in capitals here.
    pub fn learn_capitals(&self, told: Option<&str>) {
        let told = told.unwrap_or_default();
        let has = told.bytes().any(|byte| matches!(byte, b'A'..=b'F'));
        let is_digest = has && Version::told(told).is_some_and(|version| version.is_digest());
        if is_digest {
            self.capitals.store(true, Ordering::Relaxed);
        }
    }

    fn of(&self, condition: Condition) -> &AtomicU8 {
        &self.spellings[match condition {
            Condition::Put => 0,
            Condition::Delete => 1,
            Condition::Read => 2,
        }]
    }

    /// How to spell a condition here: as it is known or supposed, else as everywhere.
    pub fn spelling(&self, condition: Condition) -> Spelling {
        match self.of(condition).load(Ordering::Relaxed) {
            UNKNOWN => Spelling {
                is_bare: false,
                has_capitals: self.capitals.load(Ordering::Relaxed),
            },
            bits => Spelling::of(bits & 3),
        }
    }

    /// The other spellings of this version that are worth a try; none once it is known which one works.
    pub fn others(&self, condition: Condition, version: &Version) -> Vec<Spelling> {
        if self.of(condition).load(Ordering::Relaxed) & PROVEN != 0 {
            return Vec::new();
        }
        let mut texts = vec![self.spelling(condition).spell(version)];
        let mut others = Vec::new();
        for other in Spelling::ALL {
            let text = other.spell(version);
            if !texts.contains(&text) {
                texts.push(text);
                others.push(other);
            }
        }
        others
    }

    /// Until it is known better, conditions are spelled so.
    pub fn suppose(&self, condition: Condition, spelling: Spelling) {
        self.learn(condition, SUPPOSED | spelling.bits());
    }

    /// A condition that was spelled so held.
    pub fn prove(&self, condition: Condition, spelling: Spelling) {
        self.learn(condition, PROVEN | spelling.bits());
    }

    /// No spelling was found that works.
    pub fn give_up(&self, condition: Condition) {
        self.learn(condition, UNKNOWN);
    }

    fn learn(&self, condition: Condition, learned: u8) {
        let update = |known: u8| (known & PROVEN == 0).then_some(learned);
        // What is proven stays: failure means that it is.
        let _ = self
            .of(condition)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// What is known, in one word, for the next mount.
    pub fn to_text(&self) -> String {
        let listings = self.listings.load(Ordering::Relaxed);
        let of = |condition: Condition| self.of(condition).load(Ordering::Relaxed);
        let [put, delete, read] = [Condition::Put, Condition::Delete, Condition::Read].map(of);
        format!("{listings}.{put}.{delete}.{read}")
    }

    /// Learns what [`to_text`](Self::to_text) wrote; whether it was that.
    pub fn learn_text(&self, text: &str) -> bool {
        let numbers = text.split('.').map(str::parse::<u8>);
        let Ok(Ok([listings, put, delete, read])) = numbers
            .collect::<Result<Vec<_>, _>>()
            .map(<[u8; 4]>::try_from)
        else {
            return false;
        };
        self.listings.store(listings, Ordering::Relaxed);
        for (condition, learned) in [
            (Condition::Put, put),
            (Condition::Delete, delete),
            (Condition::Read, read),
        ] {
            if learned & PROVEN != 0 {
                self.learn(condition, learned);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(etag: &str) -> Version {
        Version::told(etag).unwrap()
    }

    const DIGEST: &str = "D41D8CD98F00B204E9800998ECF8427E";

    #[test]
    fn what_is_worth_a_try_is_each_other_spelling_once() {
        let habits = Habits::default();
        let tried = |habits: &Habits, etag: &str| {
            let others = habits.others(Condition::Put, &version(etag)).into_iter();
            others
                .map(|one| one.spell(&version(etag)))
                .collect::<Vec<_>>()
        };
        let small = DIGEST.to_lowercase();
        assert_eq!(tried(&habits, "x"), ["x"]);
        assert_eq!(
            tried(&habits, DIGEST),
            [small.clone(), format!("\"{DIGEST}\""), DIGEST.to_owned()]
        );
        // A server that tells capitals is asked in capitals.
        habits.learn_capitals(Some(&format!("\"{DIGEST}\"")));
        let first = habits.spelling(Condition::Put).spell(&version(DIGEST));
        assert_eq!(first, format!("\"{DIGEST}\""));
        assert_eq!(tried(&habits, DIGEST).len(), 3);
        habits.prove(Condition::Put, Spelling::of(1));
        assert_eq!(tried(&habits, DIGEST), [""; 0]);
        assert_eq!(
            habits.spelling(Condition::Put).spell(&version(DIGEST)),
            small
        );
    }

    #[test]
    fn what_was_supposed_is_forgotten_and_what_was_proven_is_not() {
        let habits = Habits::default();
        let bare = Spelling::of(1);
        habits.suppose(Condition::Delete, bare);
        assert_eq!(habits.spelling(Condition::Delete), bare);
        assert_eq!(habits.spelling(Condition::Put), Spelling::default());
        habits.give_up(Condition::Delete);
        assert_eq!(habits.spelling(Condition::Delete), Spelling::default());
        habits.prove(Condition::Delete, bare);
        habits.give_up(Condition::Delete);
        habits.suppose(Condition::Delete, Spelling::of(2));
        assert_eq!(habits.spelling(Condition::Delete), bare);
    }

    #[test]
    fn what_is_known_comes_back_from_its_text() {
        let habits = Habits::default();
        habits.learn_listings(false);
        habits.prove(Condition::Put, Spelling::of(1));
        let again = Habits::default();
        assert!(again.learn_text(&habits.to_text()));
        assert_eq!(again.lists_versions(), Some(false));
        assert_eq!(again.spelling(Condition::Put), Spelling::of(1));
        assert_eq!(again.spelling(Condition::Read), Spelling::default());
        for other in ["", "1", "s3://b/", "1.2.3", "1.2.3.x", "1.2.3.4.5"] {
            assert!(!Habits::default().learn_text(other), "{other}");
        }
    }
}

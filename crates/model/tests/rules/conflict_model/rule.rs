//! The rule that a world runs: the real one of `etagfs_model`, or one of the plausible mistakes.
//!
//! Every method calls the real code; a mistake changes one answer of it. Nothing here is a second
//! implementation of the rule.

use etagfs_model::saving::Step as SaveStep;
use etagfs_model::{
    Base, Caller, Draft, Found, Outcome, Precondition, Reply, SaveError, SaveReason, Saving, Seen,
    Settle, Step, Version,
};

use super::style::Style;

/// Which rule a world runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Real,
    /// After a lost reply, a refusal of the second attempt is taken for a conflict.
    RefusalIsConflict,
    /// A refusal without a lost message before it is taken for a conflict, without a look.
    BelieveFirstRefusal,
    /// A look knows the put-id on the key, and follows no trail.
    LookAtTheKeyAlone,
    /// After a lost reply, whatever is found that is not ours is taken for a conflict.
    BelieveOneLook,
    /// A create whose reply was lost is sent again.
    ResendCreates,
    /// Nothing whose reply was lost is sent again.
    NeverResend,
    /// What is there is taken for the base only if nobody touched it since; not a mistake, but
    /// more than most stores can tell.
    LookCloser,
    /// After a refusal the handle goes on, with what is there now as its base.
    GoOnAfterRefusal,
    /// After a save of unknown fate the handle goes on with its old base.
    GoOnAfterDoubt,
    /// That there is no key is not remembered.
    ForgetMisses,
    /// Who missed a key may not delete it.
    MissesBindDeletes,
    /// A truncating open replaces what is there.
    ReplaceWhatIsThere,
    /// A save makes its writer somebody who was shown the key.
    SaveMakesReader,
    /// Any own save counts as shown, whatever it replaced.
    AnySaveCounts,
    /// A refusal tells nobody anything.
    TellNobody,
    /// A refusal makes its hearer somebody who was shown the key.
    TellingMakesReader,
    /// A flush saves the emptied file.
    FlushSavesEmptied,
    /// Who appends goes on after a save of unknown fate too.
    GoOnAppendingInDoubt,
    /// Who appends saves its old bytes again, over what is there now.
    ResaveTheSameBytes,
    /// Who appends puts all that it ever appended behind what is there now.
    AppendAllAgain,
}

impl Rule {
    pub(super) fn put(self, expect: &Precondition) -> Settle {
        match self {
            // An update may be sent again, and its settling knows nothing else of its condition.
            Self::ResendCreates => Settle::put(&Precondition::Is(Version::new("any"))),
            Self::NeverResend => Settle::put(&Precondition::Absent),
            _ => Settle::put(expect),
        }
    }

    pub(super) fn delete(self) -> Settle {
        match self {
            Self::NeverResend => Settle::put(&Precondition::Absent),
            _ => Settle::delete(),
        }
    }

    pub(super) fn replied(
        self,
        settle: &mut Settle,
        reply: Reply<Option<Version>>,
        (doubt, time_left): (bool, bool),
    ) -> Step<Option<Version>> {
        let refused = reply == Reply::Refused;
        let step = settle.replied(reply, time_left);
        match self {
            Self::RefusalIsConflict if refused => Step::Done(Outcome::Refused(None)),
            Self::BelieveFirstRefusal if refused && !doubt => Step::Done(Outcome::Refused(None)),
            _ => step,
        }
    }

    pub(super) fn looked(
        self,
        settle: &mut Settle,
        found: Found<Option<Version>>,
        time_left: bool,
    ) -> Step<Option<Version>> {
        let other = matches!(found, Found::Other(_));
        let step = settle.looked(found, time_left);
        match self {
            Self::BelieveOneLook if other => Step::Done(Outcome::Refused(None)),
            _ => step,
        }
    }

    /// Whether a look finds a save that was saved over.
    pub(super) fn follows_trails(self) -> bool {
        self != Self::LookAtTheKeyAlone
    }

    pub(super) fn missed(self, seen: &mut Seen<()>, caller: &Caller) {
        if self != Self::ForgetMisses {
            seen.miss(caller, &());
        }
    }

    pub(super) fn base(
        self,
        seen: &mut Seen<()>,
        callers: &[Caller],
        style: Style,
        current: &Precondition,
    ) -> Base {
        match self {
            Self::ReplaceWhatIsThere => Base::Take(current.clone()),
            _ if style == Style::Unlink && self != Self::MissesBindDeletes => {
                seen.base_of_delete(callers.first().copied(), &(), current)
            }
            _ => seen.base(callers.iter().copied(), &(), current),
        }
    }

    pub(super) fn saved(
        self,
        seen: &mut Seen<()>,
        callers: &[Caller],
        replaced: &Precondition,
        now: &Version,
    ) {
        match self {
            Self::SaveMakesReader => {
                seen.show(&callers[0], &(), now);
            }
            Self::AnySaveCounts => {
                if let Some(shown) = seen.shown_to(&callers[0], &()) {
                    seen.saved(callers.iter().copied(), &(), &shown, now);
                }
            }
            _ => seen.saved(callers.iter().copied(), &(), replaced, now),
        }
    }

    pub(super) fn told(self, seen: &mut Seen<()>, callers: &[Caller], current: &Precondition) {
        match self {
            Self::TellNobody => {}
            Self::TellingMakesReader => {
                if let (Some(caller), Precondition::Is(version)) = (callers.first(), current) {
                    seen.show(caller, &(), version);
                }
            }
            _ => seen.told(callers.iter().copied(), &(), current),
        }
    }

    /// What made a save happen.
    pub(super) fn reason(self, reason: SaveReason) -> SaveReason {
        match self {
            Self::FlushSavesEmptied if reason == SaveReason::Flush => SaveReason::Fsync,
            _ => reason,
        }
    }

    /// What a save does when it is known what became of its write.
    pub(super) fn sent(self, save: &mut Saving, draft: &mut Draft, outcome: Outcome) -> SaveStep {
        match self {
            Self::GoOnAppendingInDoubt if outcome == Outcome::Unknown && draft.only_appends() => {
                save.sent(draft, Outcome::Refused(None))
            }
            _ => save.sent(draft, outcome),
        }
    }

    /// How many lines of somebody who appends are saved now.
    pub(super) fn lines_again(self, fresh: u8, written: u8, tries: u8) -> u8 {
        match self {
            Self::AppendAllAgain if tries > 0 => written,
            _ => fresh,
        }
    }

    /// What is left of a draft whose save did not succeed, when the key is now `current`.
    pub(super) fn after_failure(self, draft: &mut Draft, why: SaveError, current: &Precondition) {
        let base = match (self, why) {
            (Self::GoOnAfterRefusal, SaveError::Conflict) => current.clone(),
            (Self::GoOnAfterDoubt, SaveError::Unknown) => draft.base().clone(),
            _ => return,
        };
        let mut fresh = Draft::replacing(base);
        fresh.edit().unwrap();
        *draft = fresh;
    }
}

//! Wrong rules, put in on purpose: what the checker must find.

use super::check::Promise;

/// A plausible mistake, in the store, on the way to it, in a mount or in its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The store carries out every save of a key that exists, whatever it should replace.
    IgnoresIfMatch,
    /// The store creates a key that exists.
    IgnoresIfNoneMatch,
    /// The store says that a save was carried out, and forgets it.
    ForgetsSaves,
    /// The store carries a save out and refuses it, and shows nobody whose save it was.
    RefusesWhatItDid,
    /// The late copy of a save is carried out, whatever is there by then.
    CopiesAreUnconditional,
    /// A listing shows what was there some seconds ago.
    StaleListings,
    /// A mount believes the first answer to a save.
    NotSettled,
    /// A mount does not know who asks.
    NobodyIsKnown,
    /// What was to be rescued is thrown away.
    NoRescues,
    /// A crash takes the scratch files along.
    NoScratchFiles,
    /// The kernel says nothing of a closed descriptor but that the file is not used any more.
    NoFlush,
    /// Nothing has a deadline.
    NoDeadlines,
}

impl Wrong {
    /// All of them.
    pub(crate) const ALL: [Self; 12] = [
        Self::IgnoresIfMatch,
        Self::IgnoresIfNoneMatch,
        Self::ForgetsSaves,
        Self::RefusesWhatItDid,
        Self::CopiesAreUnconditional,
        Self::StaleListings,
        Self::NotSettled,
        Self::NobodyIsKnown,
        Self::NoRescues,
        Self::NoScratchFiles,
        Self::NoFlush,
        Self::NoDeadlines,
    ];

    /// Which promises may be found broken by it.
    pub(crate) fn breaks(self) -> &'static [Promise] {
        use Promise as P;
        match self {
            Self::IgnoresIfMatch => &[
                P::NothingUnseenIsReplaced,
                P::AcknowledgedIsSavedOnce,
                P::LinesAreThereOnce,
            ],
            Self::NobodyIsKnown => &[P::NothingUnseenIsReplaced],
            Self::IgnoresIfNoneMatch => &[P::NothingUnseenIsReplaced, P::LocksHaveOneWinner],
            Self::ForgetsSaves => &[P::AcknowledgedIsSavedOnce, P::LocksHaveOneWinner],
            Self::RefusesWhatItDid | Self::NotSettled => &[
                P::RefusedNeverHappens,
                P::AcknowledgedIsSavedOnce,
                P::LinesAreThereOnce,
            ],
            Self::CopiesAreUnconditional => &[
                P::AcknowledgedIsSavedOnce,
                P::NothingUnseenIsReplaced,
                P::LinesAreThereOnce,
                P::RefusedNeverHappens,
            ],
            Self::StaleListings => &[P::AbsentMeansAbsent],
            Self::NoRescues => &[P::LostBytesAreRescued],
            Self::NoScratchFiles => &[P::ScratchFilesSurvive],
            Self::NoFlush => &[P::AcknowledgedIsSavedOnce, P::LocksHaveOneWinner],
            Self::NoDeadlines => &[P::AnswersInTime],
        }
    }
}

//! The conflict rule in small worlds: every order of events, lost and delayed messages included.
//!
//! These worlds run the real `Draft`, `Seen` and `Settle`; nothing here knows FUSE or S3. Each
//! real world keeps every promise in every state, and each plausible mistake is found broken by
//! the same explorer, with its shortest story. Read `world.rs` for what can happen and for the
//! promises, `process.rs` and `saving.rs` for what programs and mounts do, `rule.rs` for the mistakes.

mod appends;
mod explore;
mod outcomes;
mod process;
mod rule;
mod saving;
mod style;
mod trails;
mod world;
mod worlds;

use crate::report;
use explore::explore;
use outcomes::Outcomes;
use rule::Rule;
use world::{Faults, Promise, Scenario};
use worlds::{
    a_blind_writer, a_lock, a_script, a_stubborn_program, appenders, creators_and_deleters,
    doubled, one_mount, renames_at_a_prompt, restored_content, two_editors, who_find_nothing,
};

/// Explores a world where every promise must hold, and where all of `outcomes` must be possible.
fn holds(scenario: &Scenario, outcomes: &[Outcomes]) -> Outcomes {
    let explored = explore(scenario);
    if let Some((promise, story)) = explored.broken {
        panic!("{}: {promise:?} is broken by\n{story}", scenario.name);
    }
    for outcome in outcomes {
        assert!(
            explored.outcomes.has(*outcome),
            "{}: never saw {outcome:?}",
            scenario.name
        );
    }
    report(&format!(
        "{}: {} states, all promises hold",
        scenario.name, explored.states
    ));
    explored.outcomes
}

/// Explores a world with a mistake in its rule, which must break this promise.
fn is_broken(scenario: &Scenario, rule: Rule, promise: Promise) {
    let mistaken = Scenario {
        rule,
        ..scenario.clone()
    };
    let explored = explore(&mistaken);
    let (broken, story) = explored.broken.expect("the explorer finds the mistake");
    println!(
        "{rule:?} breaks {broken:?} in {} states:\n{story}",
        explored.states
    );
    assert_eq!(broken, promise);
}

#[test]
fn two_editors_on_a_bad_network_keep_every_promise() {
    holds(
        &two_editors(),
        &[
            Outcomes::SAVED,
            Outcomes::CONFLICT,
            Outcomes::UNKNOWN,
            Outcomes::REFUSED_AT_OPEN,
            Outcomes::SAVED_AFTER_LOSS,
            Outcomes::LANDED_LATE,
        ],
    );
}

#[test]
fn creators_and_deleters_on_a_bad_network_keep_every_promise() {
    for present in [true, false] {
        holds(
            &Scenario {
                present,
                ..creators_and_deleters()
            },
            &[
                Outcomes::SAVED,
                Outcomes::CONFLICT,
                Outcomes::UNKNOWN,
                Outcomes::SAVED_AFTER_LOSS,
                Outcomes::LANDED_LATE,
                Outcomes::DELETED,
            ],
        );
    }
}

#[test]
fn a_program_that_insists_after_eagain_replaces_only_what_it_was_told() {
    holds(
        &a_stubborn_program(),
        &[
            Outcomes::REFUSED_AT_OPEN,
            Outcomes::CONFLICT,
            Outcomes::GIVEN_UP,
            Outcomes::SAVED_AFTER_TELLING,
            Outcomes::DELETED,
        ],
    );
}

#[test]
fn a_blind_writer_is_refused_only_by_those_who_save_while_it_writes() {
    let outcomes = holds(
        &a_blind_writer(),
        &[Outcomes::CONFLICT, Outcomes::SAVED_AFTER_TELLING],
    );
    assert!(!outcomes.has(Outcomes::REFUSED_AT_OPEN));
}

#[test]
fn the_commands_of_a_script_share_what_they_were_shown_and_told() {
    holds(
        &a_script(),
        &[
            Outcomes::REFUSED_AT_OPEN,
            Outcomes::REFUSED_LOCALLY,
            Outcomes::SAVED_AFTER_TELLING,
        ],
    );
}

#[test]
fn who_finds_no_key_creates_it_and_replaces_nothing() {
    holds(
        &who_find_nothing(),
        &[
            Outcomes::SAVED,
            Outcomes::CONFLICT,
            Outcomes::REFUSED_AT_OPEN,
            Outcomes::SAVED_AFTER_TELLING,
            Outcomes::DELETED,
        ],
    );
}

#[test]
fn an_absence_that_is_not_remembered_is_found_broken() {
    for scenario in [who_find_nothing(), creators_and_deleters()] {
        is_broken(
            &scenario,
            Rule::ForgetMisses,
            Promise::NothingUnseenIsReplaced,
        );
    }
}

#[test]
fn an_absence_that_binds_deletes_is_found_broken() {
    is_broken(
        &who_find_nothing(),
        Rule::MissesBindDeletes,
        Promise::EagainMeansConflict,
    );
}

#[test]
fn a_rename_replaces_what_the_creator_of_the_temporary_file_was_shown() {
    holds(
        &renames_at_a_prompt(),
        &[Outcomes::REFUSED_AT_OPEN, Outcomes::SAVED_AFTER_TELLING],
    );
}

#[test]
fn two_programs_on_one_mount_conflict_like_two_machines() {
    holds(
        &one_mount(),
        &[
            Outcomes::REFUSED_LOCALLY,
            Outcomes::CONFLICT,
            Outcomes::SAVED,
            Outcomes::UNKNOWN,
        ],
    );
}

#[test]
fn appenders_lose_no_line_and_repeat_none() {
    for machines in [[0, 1], [0, 0]] {
        holds(
            &appenders(machines),
            &[
                Outcomes::SAVED,
                Outcomes::MERGED,
                Outcomes::CREATED,
                Outcomes::UNKNOWN,
                Outcomes::CONFLICT,
                Outcomes::GIVEN_UP,
            ],
        );
    }
}

#[test]
fn an_append_that_goes_on_in_doubt_is_found_broken() {
    is_broken(
        &appenders([0, 1]),
        Rule::GoOnAppendingInDoubt,
        Promise::NoLineIsThereTwice,
    );
}

#[test]
fn an_append_that_puts_its_old_bytes_over_the_winners_is_found_broken() {
    let unwatched = Scenario {
        excused: &[Promise::NothingUnseenIsReplaced],
        ..appenders([0, 1])
    };
    is_broken(&unwatched, Rule::ResaveTheSameBytes, Promise::NoLineIsLost);
}

#[test]
fn an_append_that_repeats_what_was_saved_before_is_found_broken() {
    is_broken(
        &appenders([0, 1]),
        Rule::AppendAllAgain,
        Promise::NoLineIsThereTwice,
    );
}

/// Who keeps trails can be told everything: no save that happened is called a conflict.
#[test]
fn doubled_messages_deceive_nobody_where_all_who_write_are_mounts_and_nobody_deletes() {
    let saved = [
        Outcomes::SAVED,
        Outcomes::CONFLICT,
        Outcomes::FOUND_IN_A_TRAIL,
    ];
    let of_editors = holds(&doubled(two_editors(), 0), &saved);
    assert!(!of_editors.has(Outcomes::HIDDEN));
    let mut and_lost = doubled(two_editors(), 1);
    (and_lost.faults.lost, and_lost.faults.foreign_puts) = (1, 0);
    and_lost.faults.foreign_deletes = 0;
    assert!(!holds(&and_lost, &saved).has(Outcomes::HIDDEN));
    for machines in [[0, 1], [0, 0]] {
        let of_appenders = holds(
            &doubled(appenders(machines), 0),
            &[Outcomes::SAVED, Outcomes::MERGED],
        );
        assert!(!of_appenders.has(Outcomes::HIDDEN));
    }
}

/// What nobody can tell apart (W6): a save, and then one of somebody who keeps no trail, or a delete.
#[test]
fn doubled_messages_deceive_only_who_was_overtaken_by_an_outsider_or_a_delete() {
    let hidden = [Outcomes::SAVED, Outcomes::CONFLICT, Outcomes::HIDDEN];
    for scenario in [two_editors(), one_mount(), appenders([0, 1])] {
        holds(&doubled(scenario, 1), &hidden);
    }
    holds(&doubled(a_script(), 0), &hidden);
    for present in [true, false] {
        let scenario = Scenario {
            present,
            ..creators_and_deleters()
        };
        holds(&doubled(scenario, 1), &hidden);
    }
}

/// A create whose copy comes after the key was deleted makes it again: the copy of a lock's `mkdir`
/// may outlive the lock.
#[test]
fn a_late_copy_of_a_create_makes_a_deleted_key_again_and_nothing_else() {
    holds(
        &doubled(a_lock(), 0),
        &[
            Outcomes::SAVED,
            Outcomes::DELETED,
            Outcomes::CONFLICT,
            Outcomes::REVIVED,
        ],
    );
}

#[test]
fn a_first_refusal_that_is_believed_is_found_broken() {
    for scenario in [two_editors(), appenders([0, 1]), a_lock()] {
        is_broken(
            &doubled(scenario, 0),
            Rule::BelieveFirstRefusal,
            Promise::RefusedNeverHappens,
        );
    }
    let unwatched = Scenario {
        excused: &[Promise::RefusedNeverHappens],
        ..doubled(appenders([0, 1]), 0)
    };
    is_broken(
        &unwatched,
        Rule::BelieveFirstRefusal,
        Promise::NoLineIsThereTwice,
    );
}

#[test]
fn a_look_that_follows_no_trail_is_found_broken() {
    for scenario in [two_editors(), appenders([0, 1])] {
        is_broken(
            &doubled(scenario, 0),
            Rule::LookAtTheKeyAlone,
            Promise::RefusedNeverHappens,
        );
    }
}

/// The same worlds with more that can go wrong, and more that programs do.
#[test]
#[ignore = "takes minutes and a few GiB"]
fn every_promise_holds_in_larger_worlds_too() {
    let more = |scenario: Scenario| Scenario {
        faults: Faults {
            throttled: 1,
            late: 1,
            unreadable: 1,
            ..scenario.faults
        },
        ..scenario
    };
    for scenario in [two_editors(), a_blind_writer(), one_mount()] {
        holds(&more(scenario), &[Outcomes::GIVEN_UP]);
    }
    let mut stubborn = more(a_stubborn_program());
    stubborn.processes[0].reads = 2;
    stubborn.faults.foreign_puts = 2;
    holds(&stubborn, &[Outcomes::GIVEN_UP]);
    let mut renames = renames_at_a_prompt();
    renames.processes[1].reads = 1;
    renames.faults.foreign_deletes = 1;
    holds(&renames, &[Outcomes::UNKNOWN]);
}

#[test]
fn a_refusal_taken_at_its_word_after_a_lost_reply_is_found_broken() {
    is_broken(
        &two_editors(),
        Rule::RefusalIsConflict,
        Promise::RefusedNeverHappens,
    );
}

#[test]
fn a_conflict_believed_after_one_look_is_found_broken() {
    is_broken(
        &two_editors(),
        Rule::BelieveOneLook,
        Promise::RefusedNeverHappens,
    );
}

#[test]
fn creates_sent_again_after_a_lost_message_are_found_broken() {
    let unwatched = Scenario {
        excused: &[Promise::CreatesAreSentOnce],
        ..creators_and_deleters()
    };
    is_broken(
        &creators_and_deleters(),
        Rule::ResendCreates,
        Promise::CreatesAreSentOnce,
    );
    is_broken(&unwatched, Rule::ResendCreates, Promise::ExactlyOnce);
}

#[test]
fn a_handle_that_goes_on_after_a_refusal_or_in_doubt_is_found_broken() {
    for rule in [Rule::GoOnAfterRefusal, Rule::GoOnAfterDoubt] {
        is_broken(&two_editors(), rule, Promise::LostHandlesAreSilent);
    }
}

#[test]
fn a_truncating_open_that_ignores_what_was_shown_is_found_broken() {
    is_broken(
        &two_editors(),
        Rule::ReplaceWhatIsThere,
        Promise::NothingUnseenIsReplaced,
    );
}

#[test]
fn a_blind_writer_whose_save_or_refusal_makes_it_a_reader_is_found_broken() {
    for rule in [Rule::SaveMakesReader, Rule::TellingMakesReader] {
        is_broken(&a_blind_writer(), rule, Promise::EagainMeansConflict);
    }
}

#[test]
fn a_memory_that_follows_every_own_save_is_found_broken() {
    is_broken(
        &a_stubborn_program(),
        Rule::AnySaveCounts,
        Promise::NothingUnseenIsReplaced,
    );
}

#[test]
fn a_refusal_that_tells_nobody_is_found_broken() {
    for scenario in [a_stubborn_program(), a_script(), renames_at_a_prompt()] {
        is_broken(&scenario, Rule::TellNobody, Promise::EagainMeansConflict);
    }
}

#[test]
fn a_flush_that_saves_the_emptied_file_is_found_broken() {
    is_broken(
        &two_editors(),
        Rule::FlushSavesEmptied,
        Promise::NoEmptyValueBetween,
    );
}

/// Where versions derive from content, the rule keeps every promise but one.
#[test]
fn restored_content_can_break_nothing_but_exactly_once() {
    holds(
        &Scenario {
            excused: &[Promise::ExactlyOnce],
            ..restored_content(1)
        },
        &[
            Outcomes::SAVED,
            Outcomes::CONFLICT,
            Outcomes::SAVED_AFTER_LOSS,
        ],
    );
}

/// The documented limit (W6): a save whose message was lost or delayed is applied a second time if
/// somebody brings back the very bytes it replaced before its last attempt arrives.
#[test]
fn restored_content_lets_a_save_in_doubt_happen_twice() {
    is_broken(&restored_content(1), Rule::Real, Promise::ExactlyOnce);
}

/// Not even a look that tells a restored value from an untouched one (the version ids of a
/// versioned bucket) closes it, since a delayed message can arrive after the last look.
#[test]
fn looking_closer_still_lets_a_delayed_save_happen_twice() {
    is_broken(&restored_content(1), Rule::LookCloser, Promise::ExactlyOnce);
}

/// The price of closing it: one lost message, and the save is an I/O error.
#[test]
fn a_rule_that_never_sends_again_holds_even_where_content_is_restored() {
    holds(
        &Scenario {
            rule: Rule::NeverResend,
            ..restored_content(1)
        },
        &[Outcomes::SAVED, Outcomes::UNKNOWN],
    );
}

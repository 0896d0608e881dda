//! The worlds that are explored: who is there, what they do, and what may go wrong.
//!
//! Each is as small as it can be and still tell the mistakes of `rule.rs` from the rule.

use super::rule::Rule;
use super::style::Style;
use super::world::{Content, Faults, Plan, Scenario, Versions};

const QUIET: Faults = Faults {
    foreign_puts: 0,
    foreign_deletes: 0,
    lost: 0,
    doubled: 0,
    throttled: 0,
    unreadable: 0,
    late: 0,
};

const OLD: Content = Content(0);
const NEW: Content = Content(1);
const OTHER: Content = Content(2);

/// A process on a machine of its own.
fn alone(machine: usize, styles: &'static [Style]) -> Plan {
    Plan {
        mount: machine,
        job: machine,
        reads: 1,
        opens: 1,
        styles,
        writes: NEW,
    }
}

fn scenario(name: &'static str, processes: Vec<Plan>, faults: Faults) -> Scenario {
    Scenario {
        name,
        rule: Rule::Real,
        versions: Versions::Unique,
        present: true,
        processes,
        outsiders_write: &[OLD],
        outsiders_append: false,
        faults,
        excused: &[],
    }
}

/// Two machines, each with one program that reads, edits in place or overwrites.
pub(super) fn two_editors() -> Scenario {
    const STYLES: &[Style] = &[Style::InPlace, Style::Truncate];
    scenario(
        "two editors",
        vec![alone(0, STYLES), alone(1, STYLES)],
        Faults {
            foreign_puts: 1,
            lost: 2,
            ..QUIET
        },
    )
}

/// One machine whose program creates, overwrites and deletes, and outsiders who do too.
pub(super) fn creators_and_deleters() -> Scenario {
    scenario(
        "creators and deleters",
        vec![
            alone(0, &[Style::CreateNew, Style::Truncate, Style::Empty]),
            alone(1, &[Style::Unlink, Style::CreateNew]),
        ],
        Faults {
            foreign_puts: 1,
            foreign_deletes: 1,
            lost: 2,
            unreadable: 1,
            late: 1,
            ..QUIET
        },
    )
}

/// One program that saves again and again, whatever it hears.
pub(super) fn a_stubborn_program() -> Scenario {
    scenario(
        "a stubborn program",
        vec![Plan {
            opens: 3,
            ..alone(
                0,
                &[
                    Style::InPlace,
                    Style::WriteOnly,
                    Style::Truncate,
                    Style::Unlink,
                ],
            )
        }],
        Faults {
            foreign_puts: 1,
            foreign_deletes: 1,
            lost: 1,
            throttled: 1,
            late: 1,
            ..QUIET
        },
    )
}

/// One program that only ever overwrites, while others write.
pub(super) fn a_blind_writer() -> Scenario {
    scenario(
        "a blind writer",
        vec![Plan {
            reads: 0,
            opens: 4,
            ..alone(0, &[Style::Truncate, Style::Empty, Style::WriteOnly])
        }],
        Faults {
            foreign_puts: 3,
            foreign_deletes: 1,
            lost: 1,
            ..QUIET
        },
    )
}

/// The commands of one script, at once and after each other.
pub(super) fn a_script() -> Scenario {
    const STYLES: &[Style] = &[Style::Truncate, Style::WriteOnly, Style::Unlink];
    scenario(
        "a script",
        vec![
            Plan {
                opens: 2,
                ..alone(0, STYLES)
            },
            alone(0, STYLES),
        ],
        Faults {
            foreign_puts: 2,
            lost: 1,
            ..QUIET
        },
    )
}

/// Two commands of a script that look for a key, create or delete it, and others who create it too.
pub(super) fn who_find_nothing() -> Scenario {
    const STYLES: &[Style] = &[Style::Truncate, Style::Unlink];
    Scenario {
        present: false,
        ..scenario(
            "who find nothing",
            vec![
                Plan {
                    opens: 2,
                    ..alone(0, STYLES)
                },
                alone(0, STYLES),
            ],
            Faults {
                foreign_puts: 2,
                foreign_deletes: 1,
                lost: 1,
                ..QUIET
            },
        )
    }
}

/// `jq . f > t; mv t f; mv t f`: at a prompt, where each command is a job of its own.
pub(super) fn renames_at_a_prompt() -> Scenario {
    const MV: &[Style] = &[Style::RenameOver { creator: 0 }];
    let command = |job, styles, opens, reads| Plan {
        mount: 0,
        job,
        reads,
        opens,
        styles,
        writes: NEW,
    };
    scenario(
        "renames at a prompt",
        vec![
            command(0, &[], 0, 2),
            command(1, MV, 2, 0),
            command(2, MV, 1, 0),
        ],
        Faults {
            foreign_puts: 2,
            lost: 1,
            ..QUIET
        },
    )
}

/// Two programs on one mount, in jobs of their own.
pub(super) fn one_mount() -> Scenario {
    const STYLES: &[Style] = &[Style::InPlace, Style::Truncate, Style::Unlink];
    scenario(
        "one mount",
        vec![
            alone(0, STYLES),
            Plan {
                job: 1,
                ..alone(0, STYLES)
            },
        ],
        Faults {
            foreign_puts: 1,
            lost: 2,
            ..QUIET
        },
    )
}

/// Programs that append, on one machine or two, and outsiders who do so too.
pub(super) fn appenders(machines: [usize; 2]) -> Scenario {
    let appender = |job, machine| Plan {
        job,
        reads: 0,
        ..alone(machine, &[Style::Append])
    };
    Scenario {
        outsiders_append: true,
        ..scenario(
            "appenders",
            vec![appender(0, machines[0]), appender(1, machines[1])],
            Faults {
                foreign_puts: 1,
                foreign_deletes: 1,
                lost: 1,
                unreadable: 1,
                ..QUIET
            },
        )
    }
}

/// The same, where something between the mounts and the store sends requests twice; `outsiders` change
/// the key and keep no trail.
pub(super) fn doubled(scenario: Scenario, outsiders: u8) -> Scenario {
    Scenario {
        name: "doubled messages",
        faults: Faults {
            foreign_puts: outsiders,
            foreign_deletes: outsiders,
            doubled: 2 - outsiders,
            ..QUIET
        },
        ..scenario
    }
}

/// Two machines whose programs create and delete.
pub(super) fn a_lock() -> Scenario {
    const STYLES: &[Style] = &[Style::CreateNew, Style::Unlink];
    let taker = |machine| Plan {
        reads: 0,
        opens: 2,
        ..alone(machine, STYLES)
    };
    Scenario {
        present: false,
        ..scenario("a lock", vec![taker(0), taker(1)], QUIET)
    }
}

/// A key whose version comes from its content, and outsiders who restore it.
pub(super) fn restored_content(foreign_puts: u8) -> Scenario {
    let editor = alone(0, &[Style::InPlace, Style::Truncate]);
    Scenario {
        versions: Versions::OfContent,
        outsiders_write: &[OLD, OTHER],
        ..scenario(
            "restored content",
            vec![
                editor.clone(),
                Plan {
                    mount: 1,
                    job: 1,
                    writes: OLD,
                    ..editor
                },
            ],
            Faults {
                foreign_puts,
                lost: 2,
                ..QUIET
            },
        )
    }
}

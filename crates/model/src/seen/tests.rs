//! What is right, one small history each.

use super::super::who::{Ancestors, Everlasting, Job};
use super::*;

fn caller(id: u32, group: u32) -> Caller {
    child(id, &[], group)
}

fn child(id: u32, ancestors: &[u32], group: u32) -> Caller {
    Caller {
        process: Process {
            id,
            start: u64::from(id),
        },
        ancestors: Ancestors::new(ancestors.iter().copied()),
        job: Job { group, session: 1 },
    }
}

fn v(n: u32) -> Version {
    Version::new(format!("\"{n}\""))
}

fn is(n: u32) -> Precondition {
    Precondition::Is(v(n))
}

fn seen() -> Seen<&'static str> {
    Seen::new(1 << 14, 0, Arc::new(Everlasting))
}

#[test]
fn a_blind_writer_replaces_what_is_there_and_stays_blind_after_its_own_save() {
    let mut seen = seen();
    let blind = caller(1, 1);
    assert_eq!(seen.base([blind], &"k", &is(1)), Base::Take(is(1)));
    seen.saved([blind], &"k", &is(1), &v(2));
    assert_eq!(seen.base([blind], &"k", &is(3)), Base::Take(is(3)));
}

#[test]
fn a_process_that_read_the_key_loses_to_a_later_save() {
    let mut seen = seen();
    let editor = caller(1, 1);
    seen.show(&editor, &"k", &v(1));
    assert_eq!(seen.base([editor], &"k", &is(1)), Base::Take(is(1)));
    assert_eq!(
        seen.base([editor], &"k", &is(2)),
        Base::AlreadyLost { shown: is(1) }
    );
    assert_eq!(
        seen.base([editor], &"k", &Precondition::Absent),
        Base::AlreadyLost { shown: is(1) }
    );
}

#[test]
fn an_own_save_counts_as_shown_to_a_reader() {
    let mut seen = seen();
    let editor = caller(1, 1);
    seen.show(&editor, &"k", &v(1));
    seen.saved([editor], &"k", &is(1), &v(2));
    assert_eq!(seen.base([editor], &"k", &is(2)), Base::Take(is(2)));
}

/// The process read the version, and writes its bytes into another file.
fn copies(seen: &mut Seen<&'static str>, who: &Caller, n: u32) -> usize {
    let bytes = Fingerprint::of(&n.to_ne_bytes());
    if seen.show(who, &"k", &v(n)) {
        seen.note_bytes(who.process, &"k", bytes);
    }
    seen.copied(who.process, None, &bytes).len()
}

#[test]
fn a_reading_that_was_only_copied_shows_nothing() {
    let (mut seen, editor) = (seen(), caller(1, 1));
    seen.show(&editor, &"k", &v(1));
    assert_eq!(copies(&mut seen, &editor, 2), 1);
    let lost = Base::AlreadyLost { shown: is(1) };
    assert_eq!(seen.base([editor], &"k", &is(2)), lost);
    assert_eq!(copies(&mut seen, &editor, 3), 1);
    assert_eq!(seen.shown_to(&editor, &"k"), Some(is(1)));
    // It reads again, and now it knows; another copy of that changes nothing.
    seen.show(&editor, &"k", &v(2));
    assert_eq!(copies(&mut seen, &editor, 2), 0);
    assert_eq!(seen.base([editor], &"k", &is(2)), Base::Take(is(2)));
}

#[test]
fn who_reads_once_for_a_copy_and_for_its_text_was_shown_it() {
    let (mut seen, program) = (seen(), caller(1, 1));
    assert_eq!(copies(&mut seen, &program, 1), 0);
    assert_eq!(seen.shown_to(&program, &"k"), Some(is(1)));
}

#[test]
fn a_second_reading_of_the_same_version_counts_whatever_was_copied() {
    let (mut seen, program) = (seen(), caller(1, 1));
    seen.show(&program, &"k", &v(1));
    seen.show(&program, &"k", &v(2));
    assert_eq!(copies(&mut seen, &program, 2), 0);
    assert_eq!(seen.shown_to(&program, &"k"), Some(is(2)));
}

#[test]
fn who_reads_the_copy_was_shown_what_was_copied() {
    let (mut seen, script, cp) = (seen(), child(10, &[], 10), child(11, &[10], 10));
    seen.show(&script, &"k", &v(1));
    assert_eq!(copies(&mut seen, &cp, 2), 1);
    assert_eq!(seen.shown_to(&script, &"k"), Some(is(1)));
    let sed = child(12, &[10], 10);
    seen.read_copy(&sed, &"k", &v(2));
    assert_eq!(seen.shown_to(&child(13, &[10], 10), &"k"), Some(is(2)));
}

#[test]
fn other_bytes_and_other_processes_make_no_copy() {
    let (mut seen, reader, other) = (seen(), caller(1, 1), caller(2, 1));
    seen.show(&reader, &"k", &v(1));
    assert!(seen.show(&reader, &"k", &v(2)));
    let bytes = Fingerprint::of(b"two");
    assert!(!seen.may_copy(reader.process, None, bytes.len));
    seen.note_bytes(reader.process, &"k", bytes);
    assert!(seen.may_copy(reader.process, None, bytes.len));
    assert!(!seen.may_copy(reader.process, Some(&"k"), bytes.len));
    assert!(!seen.may_copy(other.process, None, bytes.len));
    assert_eq!(
        seen.copied(reader.process, None, &Fingerprint::of(b"TWO")),
        []
    );
    assert_eq!(seen.copied(other.process, None, &bytes), []);
    assert_eq!(seen.copied(reader.process, Some(&"k"), &bytes), []);
    assert_eq!(seen.shown_to(&reader, &"k"), Some(is(2)));
    assert_eq!(
        seen.copied(reader.process, Some(&"j"), &bytes),
        [("k", v(2))]
    );
    assert_eq!(seen.shown_to(&reader, &"k"), Some(is(1)));
}

#[test]
fn a_script_that_read_and_then_lets_cp_make_a_backup_was_shown_what_it_read() {
    // `n=$(cat k); cp k k.bak; echo $((n+1)) > k`
    let (mut seen, shell) = (seen(), child(10, &[], 10));
    let (cat, cp, worker) = (
        child(11, &[10], 10),
        child(12, &[10], 10),
        child(20, &[], 10),
    );
    seen.show(&cat, &"k", &v(1));
    seen.show(&worker, &"k", &v(1));
    assert_eq!(copies(&mut seen, &cp, 2), 1);
    for who in [shell, child(13, &[10], 10), worker, caller(30, 10)] {
        assert_eq!(seen.shown_to(&who, &"k"), Some(is(1)), "{who:?}");
    }
    // Who copied it knows what it copied.
    assert_eq!(seen.shown_to(&cp, &"k"), Some(is(2)));
}

#[test]
fn two_who_copy_at_once_show_nothing_and_a_reader_among_them_does() {
    let (mut seen, shell) = (seen(), child(10, &[], 10));
    let (one, two) = (child(11, &[10], 10), child(12, &[10], 10));
    for is_copied_twice in [true, false] {
        seen.show(&shell, &"k", &v(1));
        for cp in [one, two] {
            assert!(seen.show(&cp, &"k", &v(2)));
            seen.note_bytes(cp.process, &"k", Fingerprint::of(b"2"));
        }
        for (cp, is_copied) in [(one, true), (two, is_copied_twice)] {
            if is_copied {
                seen.copied(cp.process, None, &Fingerprint::of(b"2"));
            }
        }
        let expected = if is_copied_twice { is(1) } else { is(2) };
        assert_eq!(seen.shown_to(&child(13, &[10], 10), &"k"), Some(expected));
    }
}

#[test]
fn what_was_learned_after_a_copy_is_not_taken_back_with_it() {
    let (mut seen, editor, other) = (seen(), child(1, &[9], 1), child(2, &[9], 1));
    seen.show(&editor, &"k", &v(1));
    assert!(seen.show(&editor, &"k", &v(2)));
    seen.note_bytes(editor.process, &"k", Fingerprint::of(b"2"));
    seen.told([editor], &"k", &is(3));
    seen.show(&other, &"k", &v(4));
    seen.copied(editor.process, None, &Fingerprint::of(b"2"));
    assert_eq!(seen.shown_to(&editor, &"k"), Some(is(3)));
    assert_eq!(seen.shown_to(&caller(5, 1), &"k"), Some(is(4)));
}

#[test]
fn what_one_command_of_a_script_was_shown_counts_for_the_next() {
    let mut seen = seen();
    seen.show(&caller(2, 1), &"k", &v(1));
    assert_eq!(
        seen.base([caller(3, 1)], &"k", &is(2)),
        Base::AlreadyLost { shown: is(1) }
    );
    assert_eq!(seen.base([caller(4, 4)], &"k", &is(2)), Base::Take(is(2)));
}

#[test]
fn of_several_workers_of_one_script_each_was_shown_what_its_own_commands_read() {
    let mut seen = seen();
    // The script 1 started the shells 10 and 20; each runs `n=$(cat k); echo > k`.
    let (cat_of_10, cat_of_20) = (child(11, &[10, 1], 1), child(21, &[20, 1], 1));
    let (in_10, dd_of_20) = (child(10, &[1], 1), child(22, &[20, 1], 1));
    seen.show(&cat_of_10, &"k", &v(1));
    seen.show(&cat_of_20, &"k", &v(2));
    assert_eq!(seen.shown_to(&in_10, &"k"), Some(is(1)));
    assert_eq!(seen.shown_to(&dd_of_20, &"k"), Some(is(2)));
    // A process that read nothing itself, nor through a child, has the latest of its nearest relatives.
    assert_eq!(seen.shown_to(&child(30, &[1], 1), &"k"), Some(is(2)));
    // Nobody is left who started it.
    assert_eq!(seen.shown_to(&caller(40, 1), &"k"), Some(is(2)));
    seen.saved([dd_of_20], &"k", &is(2), &v(3));
    assert_eq!(seen.shown_to(&in_10, &"k"), Some(is(1)));
    assert_eq!(seen.shown_to(&child(23, &[20, 1], 1), &"k"), Some(is(3)));
}

#[test]
fn what_a_shell_reads_itself_its_commands_were_shown() {
    let (mut seen, shell, other) = (seen(), child(10, &[1], 1), child(20, &[1], 1));
    seen.show(&shell, &"k", &v(1));
    seen.show(&other, &"k", &v(2));
    assert_eq!(seen.shown_to(&child(11, &[10, 1], 1), &"k"), Some(is(1)));
}

#[test]
fn what_the_process_was_shown_goes_before_what_its_job_was_shown() {
    let mut seen = seen();
    seen.show(&caller(1, 1), &"k", &v(1));
    seen.show(&caller(2, 1), &"k", &v(2));
    assert_eq!(
        seen.base([caller(1, 1)], &"k", &is(2)),
        Base::AlreadyLost { shown: is(1) }
    );
}

#[test]
fn the_told_process_may_save_once_over_exactly_what_it_was_told() {
    let mut seen = seen();
    let editor = caller(1, 1);
    seen.show(&editor, &"k", &v(1));
    seen.told([editor], &"k", &is(2));
    assert_eq!(seen.base([editor], &"k", &is(2)), Base::Take(is(2)));
    assert_eq!(
        seen.base([editor], &"k", &is(3)),
        Base::AlreadyLost { shown: is(2) }
    );
}

#[test]
fn a_command_run_again_by_a_script_after_a_refusal_is_told_through_its_job() {
    let mut seen = seen();
    seen.show(&caller(1, 1), &"k", &v(1));
    seen.told([caller(2, 1)], &"k", &is(2));
    assert_eq!(seen.base([caller(3, 1)], &"k", &is(2)), Base::Take(is(2)));
}

#[test]
fn a_save_over_bytes_that_were_never_shown_teaches_nothing() {
    let mut seen = seen();
    let script = caller(1, 1);
    seen.show(&script, &"k", &v(1));
    // Somebody saved 2, and the script appended to it without reading it.
    seen.saved([script], &"k", &is(2), &v(3));
    assert_eq!(
        seen.base([script], &"k", &is(3)),
        Base::AlreadyLost { shown: is(1) }
    );
}

#[test]
fn a_blind_writer_that_was_told_once_is_still_blind() {
    let mut seen = seen();
    let blind = caller(1, 1);
    seen.told([blind], &"k", &is(2));
    assert_eq!(seen.base([blind], &"k", &is(3)), Base::Take(is(3)));
}

#[test]
fn a_second_rename_after_a_refusal_is_told_through_the_creator() {
    let mut seen = seen();
    let (jq, mv, again) = (caller(1, 1), caller(2, 2), caller(3, 3));
    seen.show(&jq, &"k", &v(1));
    seen.told([mv, jq], &"k", &is(2));
    assert_eq!(seen.base([again, jq], &"k", &is(2)), Base::Take(is(2)));
}

#[test]
fn a_rename_asks_the_creator_of_the_temporary_file_after_the_caller() {
    let mut seen = seen();
    let (mv, jq) = (caller(2, 2), caller(1, 1));
    seen.show(&jq, &"k", &v(1));
    assert_eq!(
        seen.base([mv, jq], &"k", &is(2)),
        Base::AlreadyLost { shown: is(1) }
    );
    seen.show(&mv, &"k", &v(2));
    assert_eq!(seen.base([mv, jq], &"k", &is(2)), Base::Take(is(2)));
}

const ABSENT: Precondition = Precondition::Absent;

fn lost(shown: Precondition) -> Base {
    Base::AlreadyLost { shown }
}

#[test]
fn who_missed_a_key_creates_it_and_replaces_nothing_that_was_made_since() {
    let (mut seen, program) = (seen(), caller(1, 1));
    seen.miss(&program, &"k");
    assert_eq!(seen.base([program], &"k", &ABSENT), Base::Take(ABSENT));
    assert_eq!(seen.base([program], &"k", &is(1)), lost(ABSENT));
    // It is told once, and insists.
    seen.told([program], &"k", &is(1));
    assert_eq!(seen.base([program], &"k", &is(1)), Base::Take(is(1)));
    assert_eq!(seen.base([program], &"k", &is(2)), lost(is(1)));
}

#[test]
fn a_miss_counts_for_the_job_and_what_any_of_its_commands_creates_ends_it() {
    let mut seen = seen();
    let (shell, cat, date) = (caller(10, 10), child(11, &[10], 10), child(12, &[10], 10));
    seen.miss(&cat, &"k");
    assert_eq!(seen.base([date], &"k", &is(1)), lost(ABSENT));
    assert_eq!(seen.base([shell], &"k", &is(1)), lost(ABSENT));
    // `[ -e k ] || date > k; echo > k`
    seen.miss(&shell, &"k");
    seen.saved([date], &"k", &ABSENT, &v(1));
    assert_eq!(seen.base([shell], &"k", &is(1)), Base::Take(is(1)));
    assert_eq!(seen.base([shell], &"k", &is(2)), lost(is(1)));
    assert_eq!(seen.shown_to(&caller(20, 20), &"k"), None);
}

#[test]
fn of_several_workers_that_missed_a_key_one_creates_it() {
    let mut seen = seen();
    let (one, two) = (child(11, &[10], 10), child(12, &[10], 10));
    seen.miss(&child(21, &[11, 10], 10), &"k");
    seen.miss(&child(22, &[12, 10], 10), &"k");
    seen.saved([one], &"k", &ABSENT, &v(1));
    assert_eq!(seen.base([one], &"k", &is(1)), Base::Take(is(1)));
    assert_eq!(seen.base([two], &"k", &is(1)), lost(ABSENT));
}

#[test]
fn who_knows_a_version_does_not_forget_it_by_missing_the_key() {
    let mut seen = seen();
    let (shell, mv) = (caller(10, 10), child(12, &[10], 10));
    seen.show(&child(11, &[10], 10), &"k", &v(1));
    // `mv t k` looks at its target.
    seen.miss(&mv, &"k");
    assert_eq!(seen.base([mv], &"k", &ABSENT), lost(is(1)));
    seen.miss(&shell, &"k");
    assert_eq!(seen.base([shell], &"k", &ABSENT), lost(is(1)));
}

#[test]
fn a_reading_ends_a_miss_but_not_one_that_was_only_copied() {
    let (mut seen, editor) = (seen(), caller(1, 1));
    seen.miss(&editor, &"k");
    assert_eq!(copies(&mut seen, &editor, 1), 1);
    assert_eq!(seen.base([editor], &"k", &is(1)), lost(ABSENT));
    seen.show(&editor, &"k", &v(1));
    assert_eq!(seen.base([editor], &"k", &is(1)), Base::Take(is(1)));
}

#[test]
fn a_delete_is_not_bound_by_a_miss_but_by_what_was_read_or_deleted() {
    let (mut seen, poller) = (seen(), caller(1, 1));
    seen.miss(&poller, &"k");
    assert!(seen.has_missed(&poller, &"k"));
    let take = |n| Base::Take(is(n));
    assert_eq!(seen.base_of_delete(Some(poller), &"k", &is(1)), take(1));
    // Also after a copy: `until [ -e k ]; do :; done; cp k mine; rm k`.
    copies(&mut seen, &poller, 1);
    assert_eq!(seen.base_of_delete(Some(poller), &"k", &is(1)), take(1));
    seen.show(&poller, &"k", &v(1));
    assert!(!seen.has_missed(&poller, &"k"));
    assert_eq!(seen.base_of_delete(Some(poller), &"k", &is(2)), lost(is(1)));
    seen.removed([poller], &"k", &is(1));
    seen.miss(&poller, &"k");
    assert_eq!(
        seen.base_of_delete(Some(poller), &"k", &is(2)),
        lost(ABSENT)
    );
    assert_eq!(seen.base_of_delete(None, &"k", &is(2)), take(2));
}

use super::*;

fn v(n: u32) -> Version {
    Version::new(format!("\"{n}\""))
}

fn expects(draft: &mut Draft, reason: SaveReason) -> Option<Precondition> {
    draft.begin_save(reason).unwrap().map(|save| save.expect)
}

#[test]
fn an_unwritten_draft_is_never_saved() {
    let mut draft = Draft::editing(v(1));
    for reason in [SaveReason::Flush, SaveReason::Fsync, SaveReason::Release] {
        assert_eq!(expects(&mut draft, reason), None);
    }
}

#[test]
fn who_joins_an_unsaved_file_saves_only_what_it_wrote() {
    let mut draft = Draft::joining(Precondition::Absent);
    assert_eq!(expects(&mut draft, SaveReason::Release), None);
    draft.edit().unwrap();
    assert_eq!(
        expects(&mut draft, SaveReason::Release),
        Some(Precondition::Absent)
    );
}

#[test]
fn a_truncated_unwritten_draft_is_saved_by_the_last_close_and_fsync_but_not_by_a_flush() {
    let mut draft = Draft::replacing(Precondition::Is(v(1)));
    assert!(draft.waits_empty());
    assert_eq!(expects(&mut draft, SaveReason::Flush), None);
    for reason in [SaveReason::Close, SaveReason::Fsync, SaveReason::Release] {
        let saved = expects(&mut draft.clone(), reason);
        assert_eq!(saved, Some(Precondition::Is(v(1))), "{reason:?}");
    }
    draft.edit().unwrap();
    assert!(!draft.waits_empty());
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Is(v(1)))
    );
}

#[test]
fn what_is_written_after_an_empty_file_was_saved_is_based_on_that() {
    let mut draft = Draft::replacing(Precondition::Absent);
    assert_eq!(
        expects(&mut draft, SaveReason::Close),
        Some(Precondition::Absent)
    );
    draft.end_save(Outcome::Committed(v(1))).unwrap();
    assert_eq!(expects(&mut draft, SaveReason::Release), None);
    draft.edit().unwrap();
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Is(v(1)))
    );
}

#[test]
fn a_second_save_expects_the_version_of_the_first() {
    let mut draft = Draft::replacing(Precondition::Absent);
    draft.edit().unwrap();
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Absent)
    );
    draft.end_save(Outcome::Committed(v(1))).unwrap();
    assert_eq!(expects(&mut draft, SaveReason::Flush), None);
    draft.edit().unwrap();
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Is(v(1)))
    );
}

#[test]
fn a_refused_draft_says_so_at_every_close_and_takes_no_more_bytes() {
    let mut draft = Draft::editing(v(1));
    draft.edit().unwrap();
    assert!(expects(&mut draft, SaveReason::Flush).is_some());
    assert_eq!(
        draft.end_save(Outcome::Refused(None)),
        Err(SaveError::Conflict)
    );
    assert_eq!(draft.edit(), Err(Lost::Conflict));
    assert_eq!(
        draft.begin_save(SaveReason::Fsync),
        Err(SaveError::Conflict)
    );
    assert_eq!(draft.begin_save(SaveReason::Release), Ok(None));
    assert!(!draft.is_dirty());
}

#[test]
fn an_unproved_save_is_an_io_error_for_ever_and_never_a_conflict() {
    let mut draft = Draft::editing(v(1));
    draft.edit().unwrap();
    assert!(expects(&mut draft, SaveReason::Fsync).is_some());
    assert_eq!(draft.end_save(Outcome::Unknown), Err(SaveError::Unknown));
    assert_eq!(draft.begin_save(SaveReason::Flush), Err(SaveError::Unknown));
}

#[test]
fn an_abandoned_save_can_be_tried_again_with_the_same_base() {
    let mut draft = Draft::editing(v(1));
    draft.edit().unwrap();
    assert!(expects(&mut draft, SaveReason::Fsync).is_some());
    draft.abandon_save();
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Is(v(1)))
    );
}

#[test]
fn a_save_that_failed_is_not_repeated_behind_the_programs_back() {
    let mut draft = Draft::editing(v(1));
    draft.edit().unwrap();
    assert!(expects(&mut draft, SaveReason::Flush).is_some());
    draft.abandon_save();
    assert_eq!(expects(&mut draft, SaveReason::Release), None);
}

#[test]
fn a_draft_overtaken_on_this_machine_is_refused_without_asking_the_store() {
    let mut draft = Draft::editing(v(1));
    draft.overtaken(&Precondition::Is(v(1)));
    assert!(draft.edit().is_ok());
    assert_eq!(
        draft.begin_save(SaveReason::Flush),
        Err(SaveError::Conflict)
    );
    assert_eq!(draft.lost(), Some(Lost::Conflict));
}

#[test]
fn an_overtaken_draft_that_was_never_written_closes_in_peace() {
    let mut draft = Draft::editing(v(1));
    draft.overtaken(&Precondition::Is(v(1)));
    for reason in [SaveReason::Flush, SaveReason::Fsync, SaveReason::Release] {
        assert_eq!(expects(&mut draft, reason), None);
    }
}

#[test]
fn a_refused_appender_goes_on_from_what_is_there_now() {
    let mut draft = Draft::editing(v(1)).appending();
    draft.append().unwrap();
    assert!(expects(&mut draft, SaveReason::Flush).is_some());
    assert_eq!(draft.rebase(Precondition::Is(v(2))), Ok(()));
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Is(v(2)))
    );
    assert_eq!(draft.rebase(Precondition::Absent), Ok(()));
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Absent)
    );
    draft.end_save(Outcome::Committed(v(3))).unwrap();
    assert_eq!(draft.base(), &Precondition::Is(v(3)));
    assert!(draft.only_appends());
}

#[test]
fn an_appender_that_was_overtaken_on_this_machine_goes_on_too() {
    let mut draft = Draft::editing(v(1)).appending();
    draft.append().unwrap();
    draft.overtaken(&Precondition::Is(v(1)));
    draft.rebase(Precondition::Is(v(2))).unwrap();
    assert_eq!(
        expects(&mut draft, SaveReason::Flush),
        Some(Precondition::Is(v(2)))
    );
}

#[test]
fn who_wrote_elsewhere_once_is_no_appender_any_more() {
    let mut draft = Draft::editing(v(1)).appending();
    draft.append().unwrap();
    draft.edit().unwrap();
    draft.append().unwrap();
    assert!(expects(&mut draft, SaveReason::Flush).is_some());
    assert_eq!(
        draft.rebase(Precondition::Is(v(2))),
        Err(SaveError::Conflict)
    );
    assert_eq!(draft.lost(), Some(Lost::Conflict));
}

#[test]
fn an_appender_never_goes_on_from_a_save_of_unknown_fate() {
    let mut draft = Draft::editing(v(1)).appending();
    draft.append().unwrap();
    assert!(expects(&mut draft, SaveReason::Flush).is_some());
    assert_eq!(draft.end_save(Outcome::Unknown), Err(SaveError::Unknown));
    assert_eq!(
        draft.rebase(Precondition::Is(v(2))),
        Err(SaveError::Unknown)
    );
}

#[test]
fn an_appender_that_was_outdated_is_refused_like_anybody() {
    let mut draft = Draft::editing(v(2)).appending();
    draft.outdated(Precondition::Is(v(1)));
    draft.append().unwrap();
    assert_eq!(
        draft.begin_save(SaveReason::Flush),
        Err(SaveError::Conflict)
    );
    assert_eq!(draft.base(), &Precondition::Is(v(1)));
}

#[test]
fn nothing_appended_to_a_file_that_somebody_else_made_needs_no_save() {
    let mut draft = Draft::replacing(Precondition::Absent).appending();
    assert_eq!(
        expects(&mut draft, SaveReason::Release),
        Some(Precondition::Absent)
    );
    draft.rebase(Precondition::Is(v(1))).unwrap();
    assert_eq!(expects(&mut draft, SaveReason::Release), None);
}

#[test]
fn a_rename_moves_only_the_drafts_of_the_value_that_was_renamed() {
    let (mut current, mut stale) = (Draft::editing(v(2)), Draft::editing(v(1)));
    for draft in [&mut current, &mut stale] {
        draft.moved(&Precondition::Is(v(2)), v(3));
    }
    assert_eq!(current.base(), &Precondition::Is(v(3)));
    assert_eq!(stale.base(), &Precondition::Is(v(1)));
}

#[test]
fn an_unlinked_draft_closes_in_silence() {
    let mut draft = Draft::replacing(Precondition::Absent);
    draft.edit().unwrap();
    draft.drop_unlinked();
    assert_eq!(expects(&mut draft, SaveReason::Flush), None);
    assert!(draft.edit().is_ok());
    assert!(!draft.is_dirty());
}

//! The contract of a backend: every fact the layers above rely on, as one check each. The same
//! checks run on the reference in memory and, through the AWS SDK, on every server there is.
//!
//! A server that lacks something is excused from that check by name, with a reason that is
//! printed and counted (`excuses`); everything else must hold. To add a check, write it in the file
//! of its topic and name it in the list below.

mod ground;
mod keys;
mod lists;
mod puts;
mod races;
mod reads;
mod subjects;
mod verdicts;

use std::time::Duration;

use ground::Ground;
use subjects::Subject;
pub(crate) use subjects::config;

/// No check takes longer, even on SeaweedFS under load; a hang must not stop the whole run.
const LONGEST: Duration = Duration::from_secs(900);

/// Runs one check on one subject.
fn run<C>(subject: Result<Subject, String>, name: &str, check: impl FnOnce(Ground) -> C)
where
    C: Future<Output = ()>,
{
    let subject = or_skip!(subject);
    if let Some(reason) = subject.excuse(name) {
        skip!("{reason}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let ground = Ground::new(subject.backend().await, name);
        let ended = tokio::time::timeout(LONGEST, check(ground)).await;
        assert!(ended.is_ok(), "{name} takes longer than {LONGEST:?}");
    });
}

/// A module of tests for one subject: all checks.
macro_rules! on {
    ($subject:ident: $($topic:ident::$check:ident)*) => {
        mod $subject {
            $(
                #[test]
                fn $check() {
                    let subject = super::subjects::$subject();
                    super::run(subject, stringify!($check), super::$topic::$check);
                }
            )*
        }
    };
}

macro_rules! contract {
    ($($topic:ident::$check:ident),* $(,)?) => {
        on!(memory: $($topic::$check)*);
        on!(versioned_memory: $($topic::$check)*);
        on!(our_server: $($topic::$check)*);
        on!(ministack: $($topic::$check)*);
        on!(versioned_ministack: $($topic::$check)*);
        on!(seaweedfs: $($topic::$check)*);
    };
}

contract! {
    puts::a_create_succeeds_once,
    puts::a_refused_put_changes_nothing,
    puts::an_update_of_the_version_that_is_there_succeeds,
    puts::an_update_of_another_version_is_refused,
    puts::an_update_of_a_missing_key_is_refused,
    puts::a_deleted_key_can_be_created_again,
    puts::the_same_bytes_can_be_put_again,
    puts::a_delete_of_the_version_that_is_there_removes_it,
    puts::a_delete_of_another_version_is_refused,
    puts::a_delete_of_a_missing_key_is_refused,
    puts::content_type_and_metadata_come_back,
    puts::metadata_is_replaced_together_with_the_value,
    puts::the_id_of_the_last_put_comes_back,
    puts::names_and_values_beyond_the_limits_are_too_big,
    reads::a_missing_key_is_not_found,
    reads::values_come_back_whole,
    reads::put_get_head_and_list_tell_one_version,
    reads::other_content_is_another_version,
    reads::the_time_of_writing_is_told,
    reads::a_value_beyond_the_limit_is_described_and_not_sent,
    reads::ranges_are_cut_to_the_object,
    reads::an_empty_object_has_empty_ranges,
    reads::an_unchanged_value_is_not_sent_again,
    reads::a_pinned_read_gets_that_version_and_no_other,
    reads::a_pinned_read_of_a_deleted_key_finds_it_gone,
    reads::an_old_version_is_served_by_its_snapshot,
    keys::odd_names_are_names_like_others,
    keys::control_characters_are_characters_like_others,
    keys::names_are_no_paths,
    keys::a_long_piece_of_a_name_is_kept,
    keys::the_longest_name_is_kept,
    keys::a_name_and_names_below_it_are_all_there,
    lists::an_empty_listing_is_a_listing,
    lists::names_are_listed_in_the_order_of_their_bytes,
    lists::a_slash_is_a_byte_like_others_in_the_order,
    lists::a_listing_shows_writes_and_deletes_at_once,
    lists::names_are_folded_at_the_first_slash_after_the_prefix,
    lists::a_listing_begins_after_a_name,
    lists::a_folded_listing_begins_after_a_name,
    lists::a_page_holds_at_most_what_was_asked_for,
    lists::many_names_come_in_pages_each_once,
    races::of_many_creates_one_wins,
    races::of_many_updates_one_wins,
    races::of_a_put_and_a_delete_one_wins,
    races::a_counter_loses_no_increment,
    races::a_reader_never_sees_a_mixture,
    verdicts::the_probe_finds_it_trustworthy,
}

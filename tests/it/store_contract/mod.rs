//! The contract of a store: every fact that the layers above rely on, whatever the layout, as one check each;
//! and that of a catalog. The same checks run on every layout, over the backend in memory and over the
//! embedded server. `hexed.rs` is a layout that only these tests have: what a new one takes. `wrong.rs` has stores
//! that are wrong on purpose, and are found.
//!
//! To add a check, write it in the file of its topic and name it in the list below. To add a layout,
//! write its subject (`subjects.rs`) and name it in `contract!`. No layout is excused from anything:
//! where two differ honestly, the trait has a question for it, and the check asks it.

mod catalogs;
mod directories;
mod errors;
mod ground;
mod hexed;
mod keys;
mod limits;
mod lists;
mod puts;
mod reads;
mod subjects;
mod travels;
mod wrong;

use std::time::Duration;

use ground::Ground;
use subjects::Subject;

/// No check takes longer; a hang must not stop the whole run.
const LONGEST: Duration = Duration::from_secs(300);

/// Runs one check on one subject.
fn run<C>(subject: Result<Subject, String>, check: impl FnOnce(Ground) -> C)
where
    C: Future<Output = ()>,
{
    let subject = or_skip!(subject);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let ground = Ground::new(&subject).await;
        let ended = tokio::time::timeout(LONGEST, check(ground)).await;
        assert!(ended.is_ok(), "it takes longer than {LONGEST:?}");
    });
}

/// A module of tests for one subject: all checks.
macro_rules! on {
    ($subject:ident: $($topic:ident::$check:ident)*) => {
        mod $subject {
            $(
                #[test]
                fn $check() {
                    super::run(super::subjects::$subject(), super::$topic::$check);
                }
            )*
        }
    };
}

macro_rules! contract {
    ($($topic:ident::$check:ident),* $(,)?) => {
        on!(plain: $($topic::$check)*);
        on!(konserve: $($topic::$check)*);
        on!(hexed_keys: $($topic::$check)*);
        on!(plain_on_a_server: $($topic::$check)*);
        on!(konserve_on_a_server: $($topic::$check)*);
        on!(hexed_keys_on_a_server: $($topic::$check)*);

        #[test]
        fn the_checks_are_counted() {
            let checks = [$(stringify!($check)),*].len();
            let line = format!("{checks} checks of 3 layouts, each over 2 backends");
            println!("{line}");
            crate::world::report::write("store-contract", &line);
        }
    };
}

contract! {
    keys::a_name_leads_to_the_key_it_was_listed_as,
    keys::a_key_is_spelled_as_it_was_scanned,
    keys::what_no_key_is_called_is_no_key,
    keys::every_key_has_an_address_of_its_own,
    keys::stores_beside_each_other_share_nothing,
    puts::a_create_succeeds_once,
    puts::a_refused_put_changes_nothing,
    puts::an_update_of_the_newest_version_succeeds,
    puts::an_update_of_another_version_is_refused,
    puts::an_update_of_a_missing_key_is_refused,
    puts::a_deleted_key_can_be_created_again,
    puts::a_delete_of_the_newest_version_removes_it,
    puts::a_delete_of_another_version_is_refused,
    puts::of_many_creates_one_wins,
    puts::a_counter_loses_no_increment,
    puts::the_number_of_a_save_comes_back,
    puts::a_log_begins_with_its_lines,
    reads::a_missing_key_is_absent_everywhere,
    reads::a_value_is_read_as_its_save_said,
    reads::lookup_open_inspect_and_list_tell_one_version,
    reads::an_unchanged_value_is_not_sent_again,
    reads::a_pinned_read_gets_that_version_and_no_other,
    reads::a_large_value_is_whole_in_pieces,
    reads::a_piece_of_another_version_is_gone,
    reads::a_slice_is_a_part_of_the_whole,
    travels::metadata_comes_back,
    travels::metadata_survives_an_edit,
    travels::metadata_goes_along_to_another_key,
    travels::nobody_chose_what_travels_with_a_new_value,
    directories::a_store_makes_directories_or_says_that_it_has_none,
    directories::a_directory_with_keys_is_not_removed,
    lists::an_empty_store_lists_nothing,
    lists::a_listing_shows_writes_and_deletes_at_once,
    lists::a_listing_goes_to_its_end,
    lists::a_scan_takes_only_what_begins_like_that,
    errors::an_error_is_never_absence,
    errors::a_failed_listing_is_no_part_of_one,
    errors::a_put_whose_answer_was_lost_is_unknown,
    limits::a_value_that_is_too_large_is_not_sent,
    limits::a_name_that_is_too_long_is_not_asked_for,
    catalogs::a_store_that_was_made_is_found_and_listed,
    catalogs::a_store_is_made_once,
    catalogs::of_many_that_make_a_store_one_succeeds,
    catalogs::an_empty_store_is_removed,
    catalogs::a_store_with_keys_is_removed_only_with_all_of_them,
    catalogs::a_missing_store_is_not_found,
    catalogs::a_layout_that_is_not_known_is_not_made,
    catalogs::other_objects_are_no_stores,
    catalogs::stores_of_all_layouts_are_told_apart,
    catalogs::a_copy_holds_what_the_store_holds,
    catalogs::a_copy_that_broke_off_is_resumed,
    catalogs::an_error_is_never_an_empty_catalog,
}

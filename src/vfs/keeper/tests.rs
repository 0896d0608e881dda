//! Rescues on a disk that has no room for a while, and bounds of them.

use std::path::Path;

use super::super::rescue::tests::{loss, place};
use super::*;

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn keeper(at: &Path, bounds: RescueBounds) -> Keeper {
    let state = StateDir::make(at).unwrap();
    let keeper = Keeper::new(
        Some(&state),
        place("s3://b", "http://h"),
        bounds,
        Arc::default(),
    );
    keeper.prepare().unwrap();
    keeper
}

/// Where nothing can be written for a while: whatever lies in the way of a directory.
fn without_room(at: &Path, during: impl FnOnce()) {
    let (dir, aside) = (at.join("rescue"), at.join("aside"));
    fs::rename(&dir, &aside).unwrap();
    fs::write(&dir, "").unwrap();
    during();
    fs::remove_file(&dir).unwrap();
    fs::rename(&aside, &dir).unwrap();
}

fn keep(keeper: &Keeper, text: &str, older: Option<&str>, at: u64) -> (String, Whereabouts) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let now = START + Duration::from_secs(at);
    let (id, place) = keeper.keep(loss(text), &bytes, older, now);
    (id.unwrap_or_default(), place)
}

/// The bytes of all rescues.
fn texts(keeper: &Keeper) -> Vec<String> {
    let text = |record: &Arc<Record>| {
        let bytes = keeper.open(&record.id).unwrap();
        let bytes = bytes.read(0, usize::MAX).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    keeper.list().iter().map(text).collect()
}

#[test]
fn the_older_rescue_of_a_draft_goes_when_the_newer_one_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = RescueBounds {
        memory: 10,
        ..RescueBounds::default()
    };
    let keeper = keeper(dir.path(), bounds);
    let (first, _) = keep(&keeper, "first", None, 1);
    let (second, place) = keep(&keeper, "second", Some(&first), 2);
    assert_eq!(place, Whereabouts::Disk);
    assert_eq!(texts(&keeper), ["second"]);
    let on_disk = || Rescue::new(dir.path()).list().unwrap().0.len();
    let mut third = String::new();
    without_room(dir.path(), || {
        // Too large for the memory, too: then the older one is better than none.
        let (_, place) = keep(&keeper, "much too large", Some(&second), 3);
        assert_eq!(place, Whereabouts::Lost);
        let (held, place) = keep(&keeper, "third", Some(&second), 4);
        assert_eq!(place, Whereabouts::Memory);
        let (held, place) = keep(&keeper, "3rd", Some(&held), 5);
        assert_eq!(place, Whereabouts::Memory);
        assert_eq!(&keeper.open(&held).unwrap().read(0, 9).unwrap()[..], b"3rd");
        assert_eq!(keeper.levels().memory, (1, 3));
        assert_eq!(keeper.settle(), 1);
        third = held;
    });
    assert_eq!(
        (on_disk(), texts(&keeper)),
        (1, vec!["second".into(), "3rd".into()])
    );
    assert_eq!(keeper.settle(), 0);
    assert_eq!((on_disk(), texts(&keeper)), (1, vec!["3rd".into()]));
    assert_eq!(Rescue::new(dir.path()).read(&third).unwrap(), b"3rd");
    // What was saved after all is forgotten, wherever it is.
    without_room(dir.path(), || {
        let (held, _) = keep(&keeper, "4th", Some(&third), 6);
        assert!(keeper.forget(&held).is_err());
        assert_eq!(keeper.settle(), 0);
    });
}

#[test]
fn no_more_waits_in_memory_than_there_may() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = RescueBounds {
        memory: 8,
        ..RescueBounds::default()
    };
    let keeper = keeper(dir.path(), bounds);
    without_room(dir.path(), || {
        let places: Vec<_> = ["1234", "5678", "9"]
            .iter()
            .zip(1..)
            .map(|(text, at)| keep(&keeper, text, None, at).1)
            .collect();
        let expected = [Whereabouts::Memory, Whereabouts::Memory, Whereabouts::Lost];
        assert_eq!(places, expected);
        assert_eq!(keeper.levels().memory, (2, 8));
        assert!(
            warning(&keeper.levels())
                .unwrap()
                .contains("in memory only")
        );
    });
    assert_eq!(keeper.settle(), 0);
    assert_eq!(texts(&keeper), ["1234", "5678"]);
    assert_eq!(warning(&keeper.levels()), None);
}

#[test]
fn the_oldest_go_when_there_are_too_many_or_too_large_and_the_newest_stays() {
    let bounds = RescueBounds::default();
    for (bounds, expected) in [
        (bounds, vec!["aaaa", "bb", "cccccccc"]),
        (
            RescueBounds {
                count: Some(2),
                ..bounds
            },
            vec!["bb", "cccccccc"],
        ),
        (
            RescueBounds {
                count: Some(0),
                ..bounds
            },
            vec!["cccccccc"],
        ),
        (
            RescueBounds {
                bytes: Some(13),
                ..bounds
            },
            vec!["bb", "cccccccc"],
        ),
        (
            RescueBounds {
                bytes: Some(9),
                ..bounds
            },
            vec!["cccccccc"],
        ),
        (
            RescueBounds {
                bytes: Some(1),
                ..bounds
            },
            vec!["cccccccc"],
        ),
        (
            RescueBounds {
                age: Some(Duration::from_secs(15)),
                ..bounds
            },
            vec!["bb", "cccccccc"],
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(dir.path(), bounds);
        let other = |source, endpoint| Keeper {
            place: place(source, endpoint),
            ..self::keeper(dir.path(), RescueBounds::default())
        };
        let others = other("s3://other", "http://h");
        let elsewhere = other("s3://b", "http://other");
        keep(&others, "of another mount", None, 0);
        keep(&elsewhere, "of another server", None, 1);
        for (text, at) in [("aaaa", 10), ("bb", 20), ("cccccccc", 30)] {
            keep(&keeper, text, None, at);
        }
        assert_eq!(texts(&keeper), expected, "{bounds:?}");
        assert_eq!(texts(&others), ["of another mount"]);
        assert_eq!(texts(&elsewhere), ["of another server"]);
        // Nothing is too new to be too old.
        keeper.settle();
        let is_aged = bounds.age.is_some();
        assert_eq!(texts(&keeper).is_empty(), is_aged, "{bounds:?}");
    }
}

#[test]
fn rescues_are_known_without_reading_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = keeper(dir.path(), RescueBounds::default());
    let (id, _) = keep(&keeper, "bytes", None, 1);
    let fresh = self::keeper(dir.path(), RescueBounds::default());
    // Whoever looked at the bytes would find that there are none to be read.
    let value = dir.path().join(format!("rescue/{id}.value"));
    fs::rename(&value, dir.path().join("aside")).unwrap();
    fs::File::create(&value).unwrap().set_len(5).unwrap();
    assert_eq!(fresh.list().len(), 1);
    assert_eq!(fresh.get(&id).map(|record| record.size), Some(5));
    // Somebody else drops it.
    Rescue::new(dir.path()).forget(&id).unwrap();
    assert_eq!((fresh.get(&id), fresh.list()), (None, vec![]));
    assert_eq!(fresh.levels().disk, (0, 0));
}

#[test]
fn the_newest_rescue_stays_however_many_are_kept_at_once() {
    for most in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let bounds = RescueBounds {
            count: Some(most),
            ..RescueBounds::default()
        };
        let keeper = keeper(dir.path(), bounds);
        for round in 0..10 {
            std::thread::scope(|scope| {
                for n in 0..12 {
                    let keeper = &keeper;
                    scope.spawn(move || keep(keeper, &format!("{n}"), None, round * 12 + n));
                }
            });
            let left = Rescue::new(dir.path()).list().unwrap().0.len() as u64;
            assert_eq!(left, most, "round {round}");
        }
    }
}

#[test]
fn an_older_rescue_that_cannot_be_dropped_costs_no_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = RescueBounds {
        count: Some(1),
        ..RescueBounds::default()
    };
    let keeper = keeper(dir.path(), bounds);
    let (first, _) = keep(&keeper, "first", None, 1);
    let value = dir.path().join(format!("rescue/{first}.value"));
    // A directory in its place can be listed, and not removed as a file.
    let record = dir.path().join(format!("rescue/{first}.json"));
    let text = fs::read(&record).unwrap();
    keep(&keeper, "second", None, 2);
    fs::write(&value, "first").unwrap();
    fs::write(&record, text).unwrap();
    let _held = keeper.on_disk();
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    keep(&keeper, "third", None, 3);
    assert_eq!(texts(&keeper).last().map(String::as_str), Some("third"));
}

#[test]
fn a_rescue_that_names_no_server_is_one_of_every_server() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = keeper(dir.path(), RescueBounds::default());
    let (id, _) = keep(&keeper, "of an older etagfs", None, 1);
    let path = dir.path().join(format!("rescue/{id}.json"));
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("server").unwrap();
    fs::write(&path, record.to_string()).unwrap();
    let elsewhere = Keeper {
        place: place("s3://b", "http://other"),
        ..self::keeper(dir.path(), RescueBounds::default())
    };
    assert_eq!(texts(&elsewhere), ["of an older etagfs"]);
}

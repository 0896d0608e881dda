//! Reads: whole, in part, pinned to a version.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use etagfs::backend::{After, ByteRange, Error, Fetched, ReadCondition};
use etagfs::model::Version;

use super::ground::{ALL, Ground, List, no_version, saved};

pub(super) async fn a_missing_key_is_not_found(g: Ground) {
    assert!(g.is_missing("never").await);
    let spans = [ALL, ByteRange::Range { start: 0, len: 1 }];
    for pin in [ReadCondition::Newest, ReadCondition::Not(no_version())] {
        for span in spans {
            let error = g.fetch("never", &pin, span).await.unwrap_err();
            assert!(
                matches!(error, Error::NotFound(_)),
                "{pin:?} {span:?}: {error}"
            );
        }
    }
}

/// Bytes that show where they belong.
fn pattern(size: usize) -> Bytes {
    (0..size).map(|i| (i % 251) as u8).collect()
}

pub(super) async fn values_come_back_whole(g: Ground) {
    for size in [0, 1, 4096, 65_537, (1 << 20) + 1, 8 << 20] {
        let name = format!("{size}");
        g.create(&name, pattern(size)).await;
        let object = g.get(&name).await;
        assert_eq!(object.info.size, size as u64);
        assert!(object.bytes == pattern(size), "{size} bytes");
    }
}

pub(super) async fn put_get_head_and_list_tell_one_version(g: Ground) {
    let put = g.create("k", "value").await;
    assert_eq!(g.get("k").await.info.version, put);
    assert_eq!(g.backend.head(&g.at("k")).await.unwrap().version, put);
    let range = ByteRange::Range { start: 1, len: 2 };
    let part = g.fetch("k", &ReadCondition::Newest, range).await.unwrap();
    assert_eq!(part.info.version, put);
    let page = g.page(&List::ALL, After::Start).await;
    assert_eq!(page.objects.len(), 1);
    assert_eq!(page.objects[0].version, Some(put));
    assert_eq!(page.objects[0].size, 5);
}

pub(super) async fn other_content_is_another_version(g: Ground) {
    let mut version = g.create("k", "0").await;
    for n in 1..20 {
        let next = g.update("k", format!("{n}"), &version).await;
        assert_ne!(next, version, "put {n}");
        version = next;
    }
}

pub(super) async fn the_time_of_writing_is_told(g: Ground) {
    let slack = Duration::from_secs(5);
    let before = SystemTime::now() - slack;
    g.create("k", "v").await;
    let told = g.backend.head(&g.at("k")).await.unwrap().modified;
    assert!(
        before <= told && told <= SystemTime::now() + slack,
        "{told:?}"
    );
    assert_eq!(g.get("k").await.info.modified, told);
    let page = g.page(&List::ALL, After::Start).await;
    assert_eq!(page.objects[0].modified, told);
}

pub(super) async fn a_value_beyond_the_limit_is_described_and_not_sent(g: Ground) {
    let version = g.create("k", pattern(1000)).await;
    let exactly = g
        .fetch("k", &ReadCondition::Newest, ByteRange::UpTo(1000))
        .await
        .unwrap();
    assert_eq!(exactly.bytes.len(), 1000);
    let beyond = g
        .fetch("k", &ReadCondition::Newest, ByteRange::UpTo(999))
        .await
        .unwrap();
    assert_eq!(beyond.bytes.len(), 0);
    assert_eq!((beyond.info.size, beyond.info.version), (1000, version));
    // A body that was not read does no harm to what comes next.
    assert_eq!(g.get("k").await.bytes, pattern(1000));
}

pub(super) async fn ranges_are_cut_to_the_object(g: Ground) {
    let version = g.create("k", pattern(1000)).await;
    for (start, len, expected) in [
        (0, 1000, 0..1000),
        (0, 10, 0..10),
        (990, 10, 990..1000),
        (990, 11, 990..1000),
        (999, 1, 999..1000),
        (500, u64::MAX, 500..1000),
        (0, 5000, 0..1000),
        (1000, 1, 0..0),
        (5000, 100, 0..0),
    ] {
        let span = ByteRange::Range { start, len };
        for pin in [ReadCondition::Newest, ReadCondition::Is(version.clone())] {
            let part = g.fetch("k", &pin, span).await.unwrap();
            assert_eq!(
                part.bytes,
                pattern(1000).slice(expected.clone()),
                "{span:?}"
            );
            assert_eq!(part.info.size, 1000, "{span:?}");
            assert_eq!(part.info.version, version, "{span:?}");
        }
    }
}

pub(super) async fn an_empty_object_has_empty_ranges(g: Ground) {
    let version = g.create("k", "").await;
    for span in [
        ALL,
        ByteRange::UpTo(0),
        ByteRange::Range { start: 0, len: 1 },
        ByteRange::Range { start: 7, len: 7 },
    ] {
        for pin in [
            ReadCondition::Newest,
            ReadCondition::Is(version.clone()),
            ReadCondition::Not(no_version()),
        ] {
            let object = g.fetch("k", &pin, span).await.unwrap();
            assert_eq!((object.info.size, object.bytes.len()), (0, 0), "{span:?}");
            assert_eq!(object.info.version, version);
        }
    }
}

pub(super) async fn an_unchanged_value_is_not_sent_again(g: Ground) {
    let first = g.create("k", "first").await;
    let known = ReadCondition::Not(first.clone());
    for span in [
        ALL,
        ByteRange::UpTo(0),
        ByteRange::Range { start: 0, len: 2 },
        ByteRange::Range { start: 9, len: 2 },
    ] {
        let fetched = g.backend.get(&g.at("k"), &known, span).await.unwrap();
        assert_eq!(fetched, Fetched::Unchanged, "{span:?}");
    }
    g.update("k", "second", &first).await;
    let object = g.fetch("k", &known, ALL).await.unwrap();
    assert_eq!(object.bytes, "second");
}

/// The version without the name under which an old one could be had.
fn without_snapshot(version: &Version) -> Version {
    Version::new(version.etag())
}

pub(super) async fn a_pinned_read_gets_that_version_and_no_other(g: Ground) {
    let first = without_snapshot(&g.create("k", "first").await);
    let spans = [
        ALL,
        ByteRange::UpTo(0),
        ByteRange::Range { start: 1, len: 2 },
        ByteRange::Range { start: 100, len: 2 },
    ];
    for span in spans {
        let object = g
            .fetch("k", &ReadCondition::Is(first.clone()), span)
            .await
            .unwrap();
        assert_eq!(object.info.version, first);
    }
    g.update("k", "a longer second one", &first).await;
    for span in spans {
        let gone = g.fetch("k", &ReadCondition::Is(first.clone()), span).await;
        assert!(
            matches!(gone, Err(Error::VersionGone(_))),
            "{span:?}: {gone:?}"
        );
    }
}

pub(super) async fn a_pinned_read_of_a_deleted_key_finds_it_gone(g: Ground) {
    let version = without_snapshot(&g.create("k", "v").await);
    saved(g.delete("k", &version).await);
    let gone = g.fetch("k", &ReadCondition::Is(version), ALL).await;
    assert!(matches!(gone, Err(Error::VersionGone(_))), "{gone:?}");
}

pub(super) async fn an_old_version_is_served_by_its_snapshot(g: Ground) {
    let first = g.create("k", "first").await;
    assert!(first.snapshot().is_some());
    assert_eq!(g.get("k").await.info.version.snapshot(), first.snapshot());
    let second = g.update("k", "a longer second one", &first).await;
    saved(g.delete("k", &second).await);

    let (first, second) = (ReadCondition::Is(first), ReadCondition::Is(second));
    assert_eq!(g.fetch("k", &first, ALL).await.unwrap().bytes, "first");
    let range = ByteRange::Range { start: 2, len: 6 };
    assert_eq!(g.fetch("k", &second, range).await.unwrap().bytes, "longer");
    let past = ByteRange::Range { start: 50, len: 6 };
    assert_eq!(g.fetch("k", &second, past).await.unwrap().bytes, "");
    assert!(g.is_missing("k").await);
}

//! Reads: of the newest version or of one, whole or in part.

use bytes::{Bytes, BytesMut};
use etagfs::backend::ReadCondition;
use etagfs::model::{FileName, Precondition, Version};
use etagfs::store::{Dir, Entry, Error, Found, Metadata, Opened};

use super::ground::{ALL, Ground, saved, value};

pub(super) async fn a_missing_key_is_absent_everywhere(g: Ground) {
    let key = g.key("k");
    let name = FileName::new("k".as_ref()).unwrap();
    let found = g.store.lookup(&Dir::root(), &name).await.unwrap();
    assert_eq!(found, Found::Absent);
    assert_eq!(g.store.describe(&key).await.unwrap(), None);
    assert_eq!(g.store.inspect(&key).await.unwrap(), None);
    let opened = g.store.open(&key, None, ALL).await;
    assert!(matches!(opened, Err(Error::NotFound(_))), "{opened:?}");
    let sliced = g.store.slice(&key, &ReadCondition::Newest, 0, 1).await;
    assert!(matches!(sliced, Err(Error::NotFound(_))), "{sliced:?}");
}

pub(super) async fn a_value_is_read_as_its_save_said(g: Ground) {
    let mut base = Precondition::Absent;
    for n in 0..3 {
        let version = saved(g.put("k", value(n), &base).await);
        let promised = g.promised("k", value(n), &version);
        let there = g.get("k").await;
        assert_eq!(there.version, version);
        assert_eq!(Some(there.bytes), promised);
        base = Precondition::Is(version);
    }
}

pub(super) async fn lookup_open_inspect_and_list_tell_one_version(g: Ground) {
    let first = g.create("k", 1).await;
    let version = g.update("k", 2, &first).await;
    let key = g.key("k");
    let opened = g.get("k").await;
    let (inspected, _) = g.store.inspect(&key).await.unwrap().unwrap();
    let described = g.store.describe(&key).await.unwrap().unwrap();
    let listed = g.listed().await;
    let looked_up = g.lookup(&listed[0].0).await;
    let versions = [
        opened.version.clone(),
        inspected.version.clone(),
        described.version.clone(),
        listed[0].2.clone(),
        looked_up.unwrap().1,
    ];
    assert_eq!(versions, [(); 5].map(|()| version.clone()));
    let size = Some(opened.bytes.len() as u64);
    assert_eq!((inspected.size, described.size), (size, size));
    assert_eq!((inspected.key, described.key), (key.clone(), key));
}

pub(super) async fn an_unchanged_value_is_not_sent_again(g: Ground) {
    let key = g.key("k");
    let first = g.create("k", 1).await;
    let opened = g.store.open(&key, Some(&first), ALL).await.unwrap();
    assert_eq!(opened, Opened::Unchanged);
    let second = g.update("k", 2, &first).await;
    match g.store.open(&key, Some(&first), ALL).await.unwrap() {
        Opened::Whole(value) => assert_eq!(value.version, second),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_pinned_read_gets_that_version_and_no_other(g: Ground) {
    let key = g.key("k");
    let first = g.create("k", 1).await;
    let pin = ReadCondition::Is(first.clone());
    assert!(matches!(
        g.store.open_pinned(&key, &pin, ALL).await,
        Ok(Opened::Whole(value)) if value.version == first
    ));
    let second = g.update("k", 2, &first).await;
    let gone = g.store.open_pinned(&key, &pin, ALL).await;
    assert!(matches!(gone, Err(Error::VersionGone(_))), "{gone:?}");
    saved(g.delete("k", &second).await);
    let gone = g
        .store
        .open_pinned(&key, &ReadCondition::Is(second), ALL)
        .await;
    let is_gone = matches!(gone, Err(Error::VersionGone(_) | Error::NotFound(_)));
    assert!(is_gone, "{gone:?}");
}

/// Two MiB that are no text, kept as they are in every layout.
async fn large(g: &Ground) -> (Bytes, Version) {
    let bytes: Bytes = (0..2_u32 << 20).map(|n| (n * 31 % 251) as u8).collect();
    let key = g.key("large");
    let metadata = Metadata {
        binary: true,
        ..g.store.fresh_metadata(&key)
    };
    let put = g
        .store
        .put(&key, bytes.clone(), &metadata, &Precondition::Absent);
    let version = saved(put.await.unwrap());
    (bytes, version)
}

async fn open_large(g: &Ground) -> Entry {
    match g.store.open(&g.key("large"), None, 4096).await.unwrap() {
        Opened::Large { entry, .. } => entry,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_large_value_is_whole_in_pieces(g: Ground) {
    const PIECE: u64 = 300_000;
    let (bytes, version) = large(&g).await;
    let entry = open_large(&g).await;
    assert_eq!(
        (entry.size, &entry.version),
        (Some(bytes.len() as u64), &version)
    );
    let mut read = BytesMut::new();
    while read.len() < bytes.len() {
        let at = read.len() as u64;
        let piece = g
            .store
            .read(&g.key("large"), &entry, at, PIECE)
            .await
            .unwrap();
        assert!(!piece.is_empty() && piece.len() as u64 <= PIECE);
        read.extend_from_slice(&piece);
    }
    assert!(read == bytes, "the pieces are not the whole");
}

pub(super) async fn a_piece_of_another_version_is_gone(g: Ground) {
    let (_, version) = large(&g).await;
    let entry = open_large(&g).await;
    g.update("large", 1, &version).await;
    let piece = g.store.read(&g.key("large"), &entry, 0, 10).await;
    assert!(matches!(piece, Err(Error::VersionGone(_))), "{piece:?}");
}

pub(super) async fn a_slice_is_a_part_of_the_whole(g: Ground) {
    g.create("k", 12).await;
    let (key, whole) = (g.key("k"), g.get("k").await);
    let size = whole.bytes.len();
    for (start, end) in [(0, size), (0, 2), (3, 6), (size - 1, size + 9)] {
        let (from, len) = (start as u64, (end - start) as u64);
        let slice = g
            .store
            .slice(&key, &ReadCondition::Newest, from, len)
            .await
            .unwrap();
        let slice = slice.unwrap();
        assert_eq!(slice.bytes, whole.bytes.slice(start..end.min(size)));
        assert_eq!(slice.entry.version, whole.version);
    }
    let not = ReadCondition::Not(whole.version);
    assert_eq!(g.store.slice(&key, &not, 0, 1).await.unwrap(), None);
}

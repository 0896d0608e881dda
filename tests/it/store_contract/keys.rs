//! Names: what a key is called in a directory, on the command line, and in messages.

use std::collections::BTreeSet;

use etagfs::model::FileName;
use etagfs::store::{Child, Dir, Error, Scanned};

use super::ground::{Ground, new_store, value};

/// Keys as somebody may spell them in every layout.
const SPELLED: [&str; 6] = ["a", "b-c", "with space", "Grün", "100%25", "name.txt"];

pub(super) async fn a_name_leads_to_the_key_it_was_listed_as(g: Ground) {
    for (n, text) in (0..).zip(SPELLED) {
        g.create(text, n).await;
    }
    let listed = g.listed().await;
    assert_eq!(listed.len(), SPELLED.len());
    for (name, key, version) in listed {
        assert_eq!(
            g.lookup(&name).await,
            Some((key.clone(), version)),
            "{name}"
        );
        match g.store.child(&Dir::root(), &name).unwrap() {
            Child::Either(same, _) | Child::Key(same) => assert_eq!(same, key, "{name}"),
            other => panic!("{name} is {other:?}"),
        }
    }
}

pub(super) async fn a_key_is_spelled_as_it_was_scanned(g: Ground) {
    for (n, text) in (0..).zip(SPELLED) {
        g.create(text, n).await;
    }
    let scanned = g.store.scan("", false).await.unwrap();
    let texts: BTreeSet<_> = scanned.iter().map(Scanned::text).collect();
    assert_eq!(texts, BTreeSet::from(SPELLED));
    for one in scanned {
        let Scanned::Key(text, entry) = one else {
            panic!("{one:?}");
        };
        assert_eq!(g.key(&text), entry.key, "{text}");
    }
}

pub(super) async fn what_no_key_is_called_is_no_key(g: Ground) {
    let before = g.requests();
    let nothing = g.store.key_at("");
    assert!(matches!(nothing, Err(Error::BadName(_))), "{nothing:?}");
    assert_eq!(g.requests(), before);
}

pub(super) async fn every_key_has_an_address_of_its_own(g: Ground) {
    let keys = SPELLED.map(|text| g.key(text));
    let addresses: BTreeSet<_> = keys.iter().map(|key| g.store.address(key)).collect();
    assert_eq!(addresses.len(), keys.len());
    for key in &keys {
        // The server, then the address, which ends it.
        let identity = g.store.identity(key);
        let (_, address) = identity.split_once('\n').unwrap();
        assert_eq!(address, g.store.address(key));
    }
    // It is the key's, whoever asks and however it came to be known.
    let other = g.another_machine();
    other.find(g.id).await.unwrap();
    let other = other.store(g.id);
    assert_eq!(
        other.identity(&other.key_at("a").unwrap()),
        g.store.identity(&keys[0])
    );
}

pub(super) async fn stores_beside_each_other_share_nothing(g: Ground) {
    let id = new_store();
    g.catalog.create(id).await.unwrap();
    let other = Ground {
        store: g.catalog.store(id),
        id,
        ..g.clone()
    };
    g.create("a", 1).await;
    assert!(other.is_missing("a").await && other.listed().await.is_empty());
    other.create("a", 2).await;
    assert_ne!(
        g.store.address(&g.key("a")),
        other.store.address(&other.key("a"))
    );
    assert_ne!(g.get("a").await.bytes, other.get("a").await.bytes);
    let name = FileName::new("b".as_ref()).unwrap();
    g.put("b", value(3), &etagfs::model::Precondition::Absent)
        .await;
    assert_eq!(other.lookup(&name).await, None);
}

//! What holds stores: finding, making, removing and copying them.

use bytes::Bytes;
use etagfs::backend::fault::{Fault, Op};
use etagfs::backend::{Backend as _, Body, Meta, ObjectKey};
use etagfs::model::{Precondition, PutId, StoreId};
use etagfs::store::{self, Copied, Error, LayoutName, StoreEntry, konserve, plain};
use futures_util::future::join_all;

use super::ground::{Ground, new_store, saved, whole};
use super::hexed;

fn entry(g: &Ground, id: StoreId) -> StoreEntry {
    StoreEntry {
        id,
        layout: g.layout,
    }
}

pub(super) async fn a_store_that_was_made_is_found_and_listed(g: Ground) {
    for catalog in [g.catalog.clone(), g.another_machine()] {
        assert_eq!(catalog.list().await.unwrap(), [entry(&g, g.id)]);
        assert_eq!(catalog.find(g.id).await.unwrap(), Some(g.layout));
        assert_eq!(catalog.store(g.id).layout(), g.layout);
        assert!(!catalog.is_foreign().await.unwrap());
    }
    assert_eq!(g.store.layout(), g.layout);
    assert_eq!(g.store.name(), store::StoreName::Id(g.id));
}

pub(super) async fn a_store_is_made_once(g: Ground) {
    g.create("k", 1).await;
    for made in [
        g.catalog.create(g.id).await,
        g.catalog.create_new(g.id).await,
    ] {
        assert!(matches!(made, Err(Error::Exists(_))), "{made:?}");
    }
    g.get("k").await;
}

pub(super) async fn of_many_that_make_a_store_one_succeeds(g: Ground) {
    let id = new_store();
    let makers: Vec<_> = (0..8).map(|_| g.another_machine()).collect();
    let made = join_all(makers.iter().map(|catalog| catalog.create(id))).await;
    assert_eq!(
        made.iter().filter(|made| made.is_ok()).count(),
        1,
        "{made:?}"
    );
    let others = made
        .iter()
        .filter(|made| matches!(made, Err(Error::Exists(_))));
    assert_eq!(others.count(), 7, "{made:?}");
}

pub(super) async fn an_empty_store_is_removed(g: Ground) {
    let version = g.create("k", 1).await;
    saved(g.delete("k", &version).await);
    g.catalog.remove(g.id).await.unwrap();
    for catalog in [g.catalog.clone(), g.another_machine()] {
        assert_eq!(catalog.find(g.id).await.unwrap(), None);
        assert_eq!(catalog.list().await.unwrap(), []);
    }
    g.catalog.create(g.id).await.unwrap();
}

pub(super) async fn a_store_with_keys_is_removed_only_with_all_of_them(g: Ground) {
    for n in 0..3 {
        g.create(&format!("k{n}"), n).await;
    }
    let beside = new_store();
    g.catalog.create(beside).await.unwrap();
    let removed = g.catalog.remove(g.id).await;
    assert!(matches!(removed, Err(Error::NotEmpty(_))), "{removed:?}");
    assert_eq!(g.listed().await.len(), 3);
    assert_eq!(g.catalog.remove_all(g.id).await.unwrap(), 3);
    assert_eq!(g.catalog.list().await.unwrap(), [entry(&g, beside)]);
}

pub(super) async fn a_missing_store_is_not_found(g: Ground) {
    let id = new_store();
    assert_eq!(g.catalog.find(id).await.unwrap(), None);
    let removed = g.catalog.remove(id).await;
    assert!(matches!(removed, Err(Error::NotFound(_))), "{removed:?}");
    let removed = g.catalog.remove_all(id).await;
    assert!(matches!(removed, Err(Error::NotFound(_))), "{removed:?}");
}

pub(super) async fn a_layout_that_is_not_known_is_not_made(g: Ground) {
    let before = g.requests();
    let unknown = LayoutName::new("unheard");
    let made = g.catalog.create_as(new_store(), unknown).await;
    assert!(matches!(made, Err(Error::Unsupported(_))), "{made:?}");
    assert_eq!(g.catalog.store_as(g.id, unknown).layout(), g.layout);
    assert_eq!(g.requests(), before);
}

/// An object of another program.
async fn foreign(g: &Ground, name: &str) {
    let body = Body {
        bytes: Bytes::from_static(b"x"),
        meta: Meta::default(),
    };
    let at = ObjectKey::new(format!("{}{name}", g.prefix));
    let put = g
        .faults
        .put(&at, body, &Precondition::Absent, PutId::new(1));
    saved(put.await.unwrap());
}

pub(super) async fn other_objects_are_no_stores(g: Ground) {
    let id = new_store();
    for name in [
        "README",
        "logs/2026",
        "zzz",
        &format!("{id}-old"),
        &format!("{id}.tar"),
    ] {
        foreign(&g, name).await;
    }
    assert_eq!(g.catalog.list().await.unwrap(), [entry(&g, g.id)]);
    assert_eq!(g.catalog.find(id).await.unwrap(), None);
    g.catalog.remove(g.id).await.unwrap();
    assert!(g.catalog.is_foreign().await.unwrap());
}

pub(super) async fn stores_of_all_layouts_are_told_apart(g: Ground) {
    let layouts = [plain::LAYOUT, konserve::LAYOUT, hexed::LAYOUT];
    let mut stores = vec![entry(&g, g.id)];
    for layout in layouts {
        for _ in 0..2 {
            let id = new_store();
            g.catalog.create_as(id, layout).await.unwrap();
            stores.push(StoreEntry { id, layout });
        }
    }
    stores.sort_by_key(|store| store.id);
    for catalog in [g.catalog.clone(), g.another_machine()] {
        assert_eq!(catalog.list().await.unwrap(), stores);
        for store in &stores {
            assert_eq!(catalog.find(store.id).await.unwrap(), Some(store.layout));
            assert_eq!(catalog.store(store.id).layout(), store.layout);
        }
    }
}

pub(super) async fn a_copy_holds_what_the_store_holds(g: Ground) {
    for n in 0..3 {
        g.create(&format!("k{n}"), n).await;
    }
    let (to, mut steps) = (new_store(), Vec::new());
    let step = |total| steps.push(total);
    let (from, target) = ((&*g.catalog, g.id), (&*g.catalog, to));
    let copied = store::copy(from, target, false, step).await.unwrap();
    assert_eq!(
        copied,
        Copied {
            made: 3,
            ..Copied::default()
        }
    );
    assert_eq!(steps, [3, 0, 0, 0]);
    assert_eq!(g.catalog.find(to).await.unwrap(), Some(g.layout));
    let copy = g.catalog.store(to);
    for n in 0..3 {
        let text = format!("k{n}");
        let there = whole(&*copy, &copy.key_at(&text).unwrap()).await.unwrap();
        assert_eq!(there.bytes, g.get(&text).await.bytes);
    }
    let again = store::copy(from, target, false, |_| {}).await;
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");
    let missing = store::copy((&*g.catalog, new_store()), target, false, |_| {}).await;
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
}

pub(super) async fn a_copy_that_broke_off_is_resumed(g: Ground) {
    for n in 0..3 {
        g.create(&format!("k{n}"), n).await;
    }
    let to = new_store();
    let (from, target) = ((&*g.catalog, g.id), (&*g.catalog, to));
    // The marker is made, and one part.
    g.faults.nth(Op::Put, 2, Fault::unreachable());
    let broken = store::copy(from, target, false, |_| {}).await;
    assert!(matches!(broken, Err(Error::Failed(_))), "{broken:?}");
    g.faults.heal();
    let copied = store::copy(from, target, true, |_| {}).await.unwrap();
    assert_eq!(copied.made + copied.same, 3, "{copied:?}");
    assert!(copied.others.is_empty());
    // What somebody else saved in the copy is left alone.
    let copy = Ground {
        store: g.catalog.store(to),
        id: to,
        ..g.clone()
    };
    let there = copy.get("k0").await;
    copy.update("k0", 17, &there.version).await;
    let copied = store::copy(from, target, true, |_| {}).await.unwrap();
    assert_eq!((copied.made, copied.same, copied.others.len()), (0, 2, 1));
}

pub(super) async fn an_error_is_never_an_empty_catalog(g: Ground) {
    g.faults.every(Op::List, Fault::unreachable());
    let id = new_store();
    let found = g.catalog.find(id).await;
    assert!(matches!(found, Err(Error::Failed(_))), "{found:?}");
    let listed = g.catalog.list().await;
    assert!(matches!(listed, Err(Error::Failed(_))), "{listed:?}");
    let foreign = g.catalog.is_foreign().await;
    assert!(matches!(foreign, Err(Error::Failed(_))), "{foreign:?}");
    let removed = g.catalog.remove_all(g.id).await;
    assert!(matches!(removed, Err(Error::Failed(_))), "{removed:?}");
}

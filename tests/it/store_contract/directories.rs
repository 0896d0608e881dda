//! Directories, where a layout has such.

use etagfs::model::FileName;
use etagfs::store::{Dir, Error, Found, Shown};

use super::ground::{Ground, saved};

pub(super) async fn a_store_makes_directories_or_says_that_it_has_none(g: Ground) {
    let name = FileName::new("sub".as_ref()).unwrap();
    let Some(below) = g.directory("sub") else {
        let (below, before) = (Dir::of_prefix("sub/".to_owned()), g.requests());
        let made = g.store.make_dir(&below).await;
        assert!(matches!(made, Err(Error::Unsupported(_))), "{made:?}");
        let removed = g.store.remove_dir(&below).await;
        assert!(matches!(removed, Err(Error::Unsupported(_))), "{removed:?}");
        assert_eq!(g.requests(), before);
        return;
    };
    g.store.make_dir(&below).await.unwrap();
    let again = g.store.make_dir(&below).await;
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");
    let listing = g.store.list(&Dir::root()).await.unwrap();
    assert_eq!(listing.get(&name), Some(&Shown::Dir));
    let found = g.store.lookup(&Dir::root(), &name).await.unwrap();
    assert_eq!(found, Found::Dir(below.clone()));
    assert!(g.store.list(&below).await.unwrap().is_empty());
    g.store.remove_dir(&below).await.unwrap();
    let found = g.store.lookup(&Dir::root(), &name).await.unwrap();
    assert_eq!(found, Found::Absent);
}

pub(super) async fn a_directory_with_keys_is_not_removed(g: Ground) {
    let Some(below) = g.directory("sub") else {
        // Without directories nothing lies below anything: a listing is all there is.
        g.create("sub", 1).await;
        assert_eq!(g.listed().await.len(), 1);
        return;
    };
    g.store.make_dir(&below).await.unwrap();
    let version = g.create("sub/k", 1).await;
    let removed = g.store.remove_dir(&below).await;
    assert!(matches!(removed, Err(Error::NotEmpty(_))), "{removed:?}");
    saved(g.delete("sub/k", &version).await);
    g.store.remove_dir(&below).await.unwrap();
}

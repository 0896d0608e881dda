//! Names: any text is one, and no two are the same.

use etagfs::model::MAX_KEY_BYTES;

use super::ground::{Ground, List, saved};

/// Creates all, then reads, lists and deletes each.
async fn are_kept_apart(g: &Ground, names: &[&str]) {
    for name in names {
        g.create(name, name.as_bytes().to_vec()).await;
    }
    for name in names {
        assert_eq!(g.get(name).await.bytes, name.as_bytes(), "{name:?}");
    }
    let mut sorted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    sorted.sort();
    let mut listed = g.names(&List::ALL).await.objects;
    listed.sort();
    assert_eq!(listed, sorted);
    for name in names {
        let version = g.get(name).await.info.version;
        saved(g.delete(name, &version).await);
        assert!(g.is_missing(name).await, "{name:?}");
    }
    assert!(g.names(&List::ALL).await.objects.is_empty());
}

pub(super) async fn odd_names_are_names_like_others(g: Ground) {
    let names = [
        " ",
        " space at both ends ",
        "a b",
        "a+b",
        "a%b",
        "a%2Fb",
        "a%20b",
        "%",
        "%00",
        "quote\"s and 'quotes'",
        "<xml>&amp;</xml>",
        "#hash",
        "?query=1&x=2",
        "a;b",
        "a:b",
        "a@b,c=d$e!f(g)*h~i^j`k{l}m|n[o]",
        "\u{e9}",
        "e\u{301}",
        "\u{65e5}\u{672c}\u{8a9e}",
        "\u{1f600}",
        ".hidden",
        "...",
        "~",
        "-",
        "A",
        "a",
        "a.b.c",
        "NUL",
        "x/y z/%/\u{e9}",
    ];
    are_kept_apart(&g, &names).await;
}

pub(super) async fn control_characters_are_characters_like_others(g: Ground) {
    let names = [
        "tab\there",
        "line\nfeed",
        "return\rhere",
        "bell\u{7}",
        "one\u{1}",
        "del\u{7f}",
        "c1\u{85}",
    ];
    are_kept_apart(&g, &names).await;
}

pub(super) async fn names_are_no_paths(g: Ground) {
    let names = [
        "a//b",
        "a/b",
        "a/./b",
        "a/../b",
        "/leading",
        "trailing/",
        "trailing",
        "..",
        ".",
        "back\\slash",
    ];
    are_kept_apart(&g, &names).await;
}

pub(super) async fn a_long_piece_of_a_name_is_kept(g: Ground) {
    let (one, two) = ("x".repeat(300), format!("{}/y", "x".repeat(300)));
    are_kept_apart(&g, &[&one, &two]).await;
}

pub(super) async fn the_longest_name_is_kept(g: Ground) {
    let pieces = "0123456789".repeat(20) + "/";
    let room = MAX_KEY_BYTES - g.prefix.len();
    let mut name = pieces.repeat(6);
    name.truncate(room);
    are_kept_apart(&g, &[&name]).await;
}

pub(super) async fn a_name_and_names_below_it_are_all_there(g: Ground) {
    are_kept_apart(&g, &["a", "a/b", "a/b/c", "a.", "a0"]).await;
}

//! Which numbers inodes have, as they come and go.

use super::*;
use std::ffi::OsStr;

fn name(text: &str) -> FileName {
    FileName::new(OsStr::new(text)).expect("a name")
}

fn key(text: &str) -> Identity {
    Identity::of_key("flat", text)
}

fn insert<'a>(tree: &mut Tree<&'a str>, text: &'a str) -> Ino {
    tree.insert(Ino::ROOT, &name(text), key(text), || text)
}

fn id(tree: &Tree<&str>, ino: Ino) -> NodeId {
    tree.numbers(ino).expect("it is there").node
}

#[test]
fn a_name_keeps_its_inode_while_the_kernel_knows_it() {
    let mut tree = Tree::new("root");
    let ino = insert(&mut tree, "a");
    tree.remember(ino);
    let told = tree.remember(ino).expect("it is there").node;
    assert_eq!(tree.insert(Ino::ROOT, &name("a"), key("a"), || "b"), ino);
    tree.forget(told, 1);
    assert_eq!((tree.get(ino), tree.at(told)), (Some(&"a"), Some(ino)));
    tree.forget(told, 1);
    assert_eq!((tree.get(ino), tree.at(told)), (None, None));
    assert!(tree.is_empty());
}

#[test]
fn an_unlinked_inode_lives_while_it_is_open_and_its_name_is_free() {
    let mut tree = Tree::new("root");
    let old = insert(&mut tree, "a");
    tree.hold(old);
    tree.unlink(old);
    let new = tree.insert(Ino::ROOT, &name("a"), key("a"), || "new");
    assert_ne!(old, new);
    assert_eq!(tree.get(old), Some(&"a"));
    assert_eq!(tree.name(old), None);
    tree.unhold(old);
    assert_eq!(tree.get(old), None);
    assert_eq!(tree.find(Ino::ROOT, &name("a")), Some(new));
}

#[test]
fn a_rename_takes_the_name_of_the_inode_it_replaces() {
    let mut tree = Tree::new("root");
    let a = insert(&mut tree, "a");
    let b = insert(&mut tree, "b");
    for ino in [a, b] {
        tree.remember(ino);
    }
    let to_b = |tree: &mut Tree<_>| tree.rename(a, Ino::ROOT, &name("b"), key("b"));
    assert_eq!(to_b(&mut tree), Some(b));
    assert_eq!(tree.find(Ino::ROOT, &name("b")), Some(a));
    assert_eq!(tree.find(Ino::ROOT, &name("a")), None);
    assert_eq!(tree.name(b), None);
    tree.forget(id(&tree, b), 1);
    assert_eq!(tree.find(Ino::ROOT, &name("b")), Some(a));
    assert_eq!(to_b(&mut tree), None);
    assert_eq!(tree.find(Ino::ROOT, &name("b")), Some(a));
}

#[test]
fn the_root_is_never_forgotten() {
    let mut tree = Tree::new("root");
    tree.forget(NodeId::ROOT, u64::MAX);
    assert_eq!(tree.get(Ino::ROOT), Some(&"root"));
    assert!(tree.numbers(Ino::ROOT).is_some_and(Numbers::agree));
}

#[test]
fn a_name_shows_the_same_number_whatever_happens_to_its_inode() {
    let mut tree = Tree::new("root");
    let shown = tree.shown(key("a"));
    let a = insert(&mut tree, "a");
    let told = tree.remember(a).expect("it is there");
    assert_eq!((told.node.0, told.shown), (shown, shown));
    // Forgotten, and found again.
    tree.forget(told.node, 1);
    let a = insert(&mut tree, "a");
    assert_eq!(tree.remember(a), Some(told));
    // Something else moved there.
    let temporary = insert(&mut tree, "temporary");
    let other = tree.remember(temporary).expect("it is there");
    tree.rename(temporary, Ino::ROOT, &name("a"), key("a"));
    let renamed = tree.numbers(temporary).expect("it is there");
    assert_eq!((renamed.shown, renamed.node), (shown, other.node));
    // And is told by the right number once nothing is open.
    tree.hold(temporary);
    tree.renumber(temporary);
    assert_eq!(tree.numbers(temporary), Some(renamed));
    tree.unhold(temporary);
    tree.renumber(temporary);
    assert_eq!(tree.remember(temporary), Some(told));
    // The kernel knows it by both numbers, and has one of what it replaced.
    for node in [told.node, other.node] {
        assert_eq!(tree.at(node), Some(temporary));
    }
    assert_eq!(tree.get(a), None);
    tree.forget(other.node, 1);
    assert_eq!(tree.at(other.node), None);
    tree.forget(told.node, 1);
    assert_eq!(tree.at(told.node), Some(temporary));
    tree.forget(told.node, 1);
    assert!(tree.is_empty() && tree.at(told.node).is_none());
}

#[test]
fn a_file_that_is_created_anew_has_the_number_of_the_old_one_unless_that_is_open() {
    let mut tree = Tree::new("root");
    let old = insert(&mut tree, "a");
    let told = tree.remember(old).expect("it is there");
    tree.hold(old);
    tree.unlink(old);
    let new = insert(&mut tree, "a");
    let numbers = tree.numbers(new).expect("it is there");
    assert_eq!(numbers.shown, told.shown);
    assert_ne!(numbers.node, told.node);
    assert_eq!(tree.at(told.node), Some(old));
    tree.unlink(new);
    tree.unhold(old);
    let newest = insert(&mut tree, "a");
    assert_eq!(tree.numbers(newest), Some(told));
    // What the kernel was told before is told of this one.
    tree.forget(told.node, 1);
    assert_eq!(tree.get(newest), None);
}

/// A process may be in the old one, and the kernel lets nobody make files there.
#[test]
fn a_directory_never_takes_the_place_of_another_that_the_kernel_knows() {
    let mut tree = Tree::new("root");
    let dir = Identity::of_dir("flat", "d/");
    let old = tree.insert(Ino::ROOT, &name("d"), dir, || "old");
    let told = tree.remember(old).expect("it is there");
    tree.unlink(old);
    let new = tree.insert(Ino::ROOT, &name("d"), dir, || "new");
    let numbers = tree.numbers(new).expect("it is there");
    assert_eq!(numbers.shown, told.shown);
    assert_ne!(numbers.node, told.node);
    tree.renumber(new);
    assert_eq!(tree.numbers(new), Some(numbers));
}

#[test]
fn two_things_show_two_numbers_also_when_they_begin_with_the_same() {
    let mut tree = Tree::new("root");
    let (one, two) = (Identity::with_number(7, 1), Identity::with_number(7, 2));
    assert_eq!(tree.shown(one), tree.shown(two));
    let a = tree.insert(Ino::ROOT, &name("a"), one, || "a");
    let b = tree.insert(Ino::ROOT, &name("b"), two, || "b");
    let [a_numbers, b_numbers] = [a, b].map(|ino| tree.numbers(ino).expect("it is there"));
    assert_ne!(a_numbers.shown, b_numbers.shown);
    assert!(a_numbers.agree() && b_numbers.agree());
    assert_eq!((tree.shown(one), tree.shown(two)), (7, b_numbers.shown));
    // Another name of one thing shows its number, by a node of its own.
    let alias = tree.insert(Ino::ROOT, &name("alias"), one, || "alias");
    let alias_numbers = tree.numbers(alias).expect("it is there");
    assert_eq!(alias_numbers.shown, a_numbers.shown);
    assert_ne!(alias_numbers.node, a_numbers.node);
    tree.unlink(a);
    assert_eq!(tree.shown(two), b_numbers.shown);
    tree.sweep(b);
    tree.sweep(alias);
    assert_eq!(tree.shown(two), 7);
}

/// A file that is moved to a name of another kind is found by the kernel under that name, by the old number.
#[test]
fn a_number_that_the_kernel_may_find_by_another_name_is_given_to_nobody_before_it_is_forgotten() {
    let mut tree = Tree::new("root");
    let moved = insert(&mut tree, "a");
    let known = tree.remember(moved).expect("it is there").node;
    tree.mistake(moved, key("a~"));
    assert_eq!((tree.name(moved), tree.at(known)), (None, Some(moved)));
    let anew = insert(&mut tree, "a");
    let shown = tree.numbers(anew).expect("it is there");
    assert_eq!((shown.shown, tree.at(known)), (known.0, Some(moved)));
    assert_ne!(shown.node, known);
    tree.renumber(anew);
    assert_eq!(tree.at(known), Some(moved));
    // So is one that was moved, and deleted there.
    let b = insert(&mut tree, "b");
    let known_as_b = tree.remember(b).expect("it is there").node;
    tree.rename(b, Ino::ROOT, &name("c"), key("c"));
    tree.unlink(b);
    let b = insert(&mut tree, "b");
    assert_ne!(id(&tree, b), known_as_b);
    // What the kernel takes for the same name goes on with whatever has that.
    let c = insert(&mut tree, "c");
    let known_as_c = tree.remember(c).expect("it is there").node;
    tree.unlink(c);
    let c = insert(&mut tree, "c");
    assert_eq!(id(&tree, c), known_as_c);

    tree.forget(known, 1);
    tree.renumber(anew);
    assert_eq!(tree.at(known), Some(anew));
    assert!(tree.numbers(anew).is_some_and(Numbers::agree));
}

#[test]
fn an_inode_that_is_being_opened_keeps_its_number_to_the_end_of_that() {
    let mut tree = Tree::new("root");
    let old = insert(&mut tree, "a");
    let known = tree.remember(old).expect("it is there").node;
    assert!(tree.hold(old));
    tree.unlink(old);
    let new = insert(&mut tree, "a");
    assert_ne!(id(&tree, new), known);
    assert_eq!(tree.at(known), Some(old));
    tree.unhold(old);
    tree.renumber(new);
    assert_eq!((id(&tree, new), tree.get(old)), (known, None));
    assert!(!tree.hold(old));
}

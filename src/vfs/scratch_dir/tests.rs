use super::super::label::ScratchFiles;
use super::super::rescue::tests::place;
use super::*;

fn name(text: &str) -> FileName {
    FileName::new(text.as_ref()).unwrap()
}

fn folder() -> Folder {
    (StoreName::Flat, Dir::of_prefix("a/".to_owned()))
}

fn scratch_dir(dir: &Path) -> ScratchDir {
    ScratchDir::new(
        Some(dir.join("scratch")),
        place("s3://b", "http://h"),
        Path::new("/mnt"),
    )
}

fn names(scratch_dir: &ScratchDir) -> Vec<String> {
    let folder = folder();
    let names = scratch_dir
        .in_folder(&folder)
        .map(|(name, _)| name.to_string());
    names.collect()
}

#[test]
fn what_is_in_the_directory_is_there_after_a_restart_of_the_same_mount_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = scratch_dir(dir.path());
    let file = first.make(&folder(), &name("f~"), None, None).unwrap();
    file.write(Some(0), b"bytes").unwrap();
    let link = Some("user@host".to_owned());
    first.make(&folder(), &name(".#f"), link, None).unwrap();
    drop(first);

    let mut second = scratch_dir(dir.path());
    assert_eq!(names(&second), [".#f", "f~"]);
    let file = second.get(&folder(), &name("f~")).unwrap();
    assert_eq!(&file.read_all(99).unwrap()[..], b"bytes");
    let link = second.get(&folder(), &name(".#f")).unwrap();
    assert_eq!(link.link(), Some("user@host"));
    let fresh = second.make(&folder(), &name("g~"), None, None).unwrap();
    assert!(fresh.id() > link.id().max(file.id()));

    let at = Some(dir.path().join("scratch"));
    let here = place("s3://b", "http://h");
    let elsewhere = ScratchDir::new(at.clone(), here, Path::new("/other"));
    assert_eq!(elsewhere.all().count(), 0);
    let there = place("s3://b", "http://other");
    let mut elsewhere = ScratchDir::new(at, there, Path::new("/mnt"));
    assert_eq!(elsewhere.all().count(), 0);
    let other = elsewhere.make(&folder(), &name("f~"), None, None).unwrap();
    assert!(other.id() > fresh.id());
    assert_eq!(names(&scratch_dir(dir.path())), [".#f", "f~", "g~"]);
    assert_eq!(ScratchFiles::of(dir.path()).unwrap().labels().count(), 4);
}

#[test]
fn a_rename_takes_what_had_the_name_out_of_the_directory_and_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut scratch_dir = scratch_dir(dir.path());
    let old = scratch_dir
        .make(&folder(), &name("f~"), None, None)
        .unwrap();
    let new = scratch_dir
        .make(&folder(), &name("sedAAA"), None, None)
        .unwrap();
    let (from, to) = (name("sedAAA"), name("f~"));
    let replaced = scratch_dir
        .rename((&folder(), &from), (&folder(), &to))
        .unwrap();
    assert_eq!(replaced.map(|gone| gone.id()), Some(old.id()));
    assert_eq!(names(&scratch_dir), ["f~"]);
    assert_eq!(
        scratch_dir.get(&folder(), &to).map(|file| file.id()),
        Some(new.id())
    );
    assert_eq!(ScratchFiles::of(dir.path()).unwrap().labels().count(), 1);
    old.write(Some(0), b"still open").unwrap();
}

#[test]
fn two_daemons_of_one_place_do_not_take_each_others_files() {
    let dir = tempfile::tempdir().unwrap();
    let (mut detached, mut mounted) = (scratch_dir(dir.path()), scratch_dir(dir.path()));
    let theirs = detached.make(&folder(), &name("f~"), None, None).unwrap();
    let link = Some("target".to_owned());
    let link = detached.make(&folder(), &name(".#f"), link, None).unwrap();
    let ours = mounted.make(&folder(), &name("g~"), None, None).unwrap();
    assert!(![theirs.id(), link.id()].contains(&ours.id()));
    assert_eq!(ScratchFiles::of(dir.path()).unwrap().labels().count(), 3);
}

#[test]
fn a_removed_file_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut scratch_dir = scratch_dir(dir.path());
    scratch_dir
        .make(&folder(), &name("f~"), None, None)
        .unwrap();
    assert!(scratch_dir.is_in_use(&folder()));
    scratch_dir.remove(&folder(), &name("f~")).unwrap();
    assert!(!scratch_dir.is_in_use(&folder()));
    assert_eq!(fs::read_dir(dir.path().join("scratch")).unwrap().count(), 0);
}

#[test]
fn reads_end_at_the_end_and_holes_are_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let file = scratch_dir(dir.path())
        .make(&folder(), &name("f~"), None, None)
        .unwrap();
    file.holds_value(crate::store::Metadata::default());
    file.write(Some(2), b"ab").unwrap();
    assert!(!file.is_pristine());
    file.write(None, b"c").unwrap();
    assert_eq!(&file.read_all(99).unwrap()[..], b"\0\0abc");
    assert_eq!(&file.read(4, 100).unwrap()[..], b"c");
    assert_eq!(&file.read(9, 100).unwrap()[..], b"");
    file.set_len(1).unwrap();
    assert_eq!(file.shape().unwrap().0, 1);
}

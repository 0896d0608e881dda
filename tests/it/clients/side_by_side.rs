//! The story that every client and a mount go through together.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};

use super::{Came, Foreign, Kind, Read};
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::servers;

const EAGAIN: i32 = 11;

/// An extended attribute of a file of the mount, if it has it.
fn attribute(mount: &Mounted, key: &str, name: &str) -> Option<String> {
    let script = format!("getfattr --only-values -n user.{name} {key}");
    let out = Script::dash(&script).within(mount.path()).run();
    (out.code == Some(0)).then_some(out.stdout)
}

/// Replaces a file's text through one descriptor that has read it.
fn edit(file: &mut File, text: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn open(mount: &Mounted, key: &str) -> (File, String) {
    let path = mount.file(key);
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    (file, text)
}

fn story(kind: Kind, server: servers::Kind) -> Result<(), String> {
    mounts::possible()?;
    kind.program()?;
    let bucket = servers::shared(server)?.bucket();
    let mount = Mount::of(&bucket).flat().arg("--ttl=0").start();
    let foreign = Foreign { kind, bucket };

    // Theirs, seen by us.
    let first = foreign.create("note", "one").done();
    assert_eq!(fs::read_to_string(mount.file("note")).unwrap(), "one");
    let has = |name: &str| attribute(&mount, "note", name);
    assert_eq!(has("etag").as_deref(), Some(&*first));
    assert_eq!(has("content_type").as_deref(), Some("text/x-note"));
    assert_eq!(has("meta.owner").as_deref(), Some("ann"));
    assert!(matches!(
        foreign.create("note", "again"),
        Came::Refused(409 | 412)
    ));

    // Saved by us, seen by them; type and metadata have stayed.
    let (mut file, text) = open(&mount, "note");
    assert_eq!(text, "one");
    edit(&mut file, "two").unwrap();
    drop(file);
    let seen = foreign.read("note");
    let second = has("etag").unwrap();
    assert_ne!(second, first);
    let expected = Read {
        etag: second.clone(),
        body: "two".into(),
        content_type: "text/x-note".into(),
        owner: Some("ann".into()),
    };
    assert_eq!(seen, expected);

    // Our save is their conflict.
    assert!(matches!(
        foreign.update("note", "stale", &first),
        Came::Refused(409 | 412)
    ));
    assert!(matches!(
        foreign.delete("note", &first),
        Came::Refused(409 | 412)
    ));
    assert_eq!(foreign.read("note").body, "two");

    // Theirs is ours.
    let (mut file, _) = open(&mount, "note");
    let third = foreign.update("note", "three", &second).done();
    let error = edit(&mut file, "lost").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EAGAIN));
    drop(file);
    assert_eq!(fs::read_to_string(mount.file("note")).unwrap(), "three");
    assert_eq!(has("etag").as_deref(), Some(&*third));
    assert_eq!(foreign.read("note").body, "three");

    // Ours from the beginning.
    let script = "set -e; echo '{}' > ours.json; setfattr -n user.meta.owner -v bob ours.json";
    Script::dash(script).within(mount.path()).run().ok();
    let seen = foreign.read("ours.json");
    let expected = Read {
        etag: attribute(&mount, "ours.json", "etag").unwrap(),
        body: "{}\n".into(),
        content_type: "application/json".into(),
        owner: Some("bob".into()),
    };
    assert_eq!(seen, expected);

    // They remove what they have seen, and it is gone; we remove what is theirs.
    foreign.delete("ours.json", &seen.etag).done();
    assert!(!mount.file("ours.json").exists());
    fs::remove_file(mount.file("note")).unwrap();
    // A key that is gone: 404 under If-Match, says the S3 API reference.
    assert_eq!(foreign.update("note", "late", &third), Came::Refused(404));
    mount.unmount();
    Ok(())
}

macro_rules! stories {
    ($($name:ident: $kind:ident beside $server:ident;)*) => {$(
        #[test]
        fn $name() {
            or_skip!(story(Kind::$kind, servers::Kind::$server));
        }
    )*};
}

stories! {
    boto3_and_a_mount_on_our_server: Boto3 beside Embedded;
    boto3_and_a_mount_on_an_independent_server: Boto3 beside Ministack;
    the_aws_cli_and_a_mount_on_our_server: AwsCli beside Embedded;
    the_aws_cli_and_a_mount_on_an_independent_server: AwsCli beside Ministack;
    s3_store_and_a_mount_on_our_server: S3Store beside Embedded;
    s3_store_and_a_mount_on_an_independent_server: S3Store beside Ministack;
}

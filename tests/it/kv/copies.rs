//! `cp` and `mv`: between keys, files and streams, and what travels along.

use super::{Desk, fails};
use crate::world::mounts::{self, Mount};
use crate::world::procs::{Output, Running, Script};
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::servers::{Bucket, random_name};
use crate::world::{cli, wait};

#[test]
fn a_value_is_copied_between_keys_files_and_streams() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let script = "set -e
        printf one | etagfs cp - $S/a
        etagfs cp $S/a file
        etagfs cp file $S/dir/
        etagfs cp $S/dir/file .   # over itself: the same bytes
        etagfs cp $S/dir/file copy
        etagfs cp copy -
        etagfs cp $S/a -";
    let out = desk.script(script).within(dir.path()).run().ok();
    assert_eq!(out.stdout, "oneone");
    assert_eq!(desk.other.text(&desk.object("dir/file")), "one");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_copy_keeps_content_type_and_metadata() {
    let desk = or_skip!(Desk::new());
    desk.says(
        "printf x | etagfs put $S/a --content-type text/x --meta colour=red
         etagfs cp $S/a $S/b.html; etagfs mv $S/a $S/c.html
         etagfs cp $S/b.html $S/d.html --content-type text/y",
    );
    for (key, kind, colour) in [
        ("b.html", "text/x", Some("red")),
        ("c.html", "text/x", Some("red")),
        ("d.html", "text/y", None),
    ] {
        let found = desk.other.head(&desk.object(key)).unwrap();
        assert_eq!(found.content_type.as_deref(), Some(kind), "{key}");
        assert_eq!(
            found.metadata.get("colour").map(String::as_str),
            colour,
            "{key}"
        );
    }
}

#[test]
fn mv_deletes_what_it_copied_and_nothing_newer() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "one");
    desk.says("etagfs mv $S/a $S/b");
    assert_eq!(desk.other.keys(), [desk.object(""), desk.object("b")]);

    let gate = Gate::new();
    let delete = When::op(Op::Delete).once();
    desk.proxy.inject(delete, Fault::HoldRequest(gate.clone()));
    let moving = desk.script("etagfs mv $S/b $S/c").start();
    gate.wait_for(1);
    desk.other.put(&desk.object("b"), "newer");
    gate.open();
    fails(
        &moving.finish(),
        1,
        &["/b does not have", "/c has been written", "both may exist"],
    );
    assert_eq!(desk.other.text(&desk.object("b")), "newer");
    assert_eq!(desk.other.text(&desk.object("c")), "one");
}

#[test]
fn mv_leaves_a_file_that_was_changed_while_it_was_copied() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, "one").unwrap();
    let gate = Gate::new();
    let put = When::op(Op::Put).once();
    desk.proxy.inject(put, Fault::HoldRequest(gate.clone()));
    let moving = desk.script("etagfs mv f $S/f").within(dir.path()).start();
    gate.wait_for(1);
    std::fs::write(&file, "newer").unwrap();
    gate.open();
    fails(
        &moving.finish(),
        1,
        &["f was changed", "/f has been written", "both may exist"],
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"newer");
    assert_eq!(desk.other.text(&desk.object("f")), "one");
    let out = desk.script("etagfs mv f $S/f").within(dir.path()).run();
    assert_eq!((out.code, file.exists()), (Some(0), false), "{out:#?}");
}

#[test]
fn mv_of_a_key_to_itself_loses_nothing() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "one");
    for command in [
        "mv",
        "cp",
        "mv --flat",
        "mv -n",
        "cp -n",
        "mv --store-layout plain",
    ] {
        let out = desk.run(&format!("etagfs {command} $S/a $S/a"));
        fails(&out, 1, &["are the same", "nothing was changed"]);
    }
    assert_eq!(desk.other.text(&desk.object("a")), "one");
    let dir = tempfile::tempdir().unwrap();
    let out = desk
        .script("echo x > f; ln f g; etagfs cp f ./f && exit 9; etagfs mv f g")
        .within(dir.path())
        .run();
    fails(&out, 1, &["f and g are the same"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn cp_is_conditional_at_the_target() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "one");
    let old = desk.other.put(&desk.object("b"), "old");
    desk.says(&format!("etagfs cp --if-match '{old}' $S/a $S/b"));
    let lost = desk.run(&format!("etagfs cp --if-match '{old}' $S/a $S/b"));
    fails(&lost, 75, &["/b"]);
    fails(
        &desk.run("etagfs cp -n $S/b $S/a"),
        75,
        &["/a exists already"],
    );
    fails(
        &desk.run("etagfs mv -n $S/b $S/a"),
        75,
        &["/a exists already"],
    );
    assert_eq!(desk.other.text(&desk.object("b")), "one");
    let dir = tempfile::tempdir().unwrap();
    let out = desk
        .script("echo x > f; etagfs cp -n $S/a f")
        .within(dir.path())
        .run();
    fails(&out, 75, &["f exists already"]);
}

#[test]
fn two_keys_with_one_value_are_two() {
    let desk = or_skip!(Desk::new());
    for key in ["a", "b"] {
        desk.other.put(&desk.object(key), "same");
    }
    desk.says("etagfs cp $S/a $S/b; etagfs mv $S/a $S/b");
    assert_eq!(desk.other.keys(), [desk.object(""), desk.object("b")]);
}

#[test]
fn a_copy_replaces_only_the_version_that_it_was_compared_with() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "one");
    desk.other.put(&desk.object("b"), "old");
    let gate = Gate::new();
    let put = When::op(Op::Put).once();
    desk.proxy.inject(put, Fault::HoldRequest(gate.clone()));
    let copying = desk.script("etagfs cp --retries 0 $S/a $S/b").start();
    gate.wait_for(1);
    desk.other.put(&desk.object("b"), "newer");
    gate.open();
    fails(&copying.finish(), 75, &["/b was saved by others"]);
    assert_eq!(desk.other.text(&desk.object("b")), "newer");
}

#[test]
fn what_is_moved_goes_into_regular_files_alone() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "one");
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    for script in [
        "etagfs mv $S/a /dev/null",
        "mkfifo pipe; etagfs mv $S/a pipe",
        "ln -s /dev/full link; etagfs mv $S/a link",
        "etagfs mv pipe $S/b",
    ] {
        fails(&run(script), 1, &["is not a regular file"]);
    }
    assert_eq!(desk.other.text(&desk.object("a")), "one");
    // To copy is another thing.
    assert_eq!(run("etagfs cp $S/a /dev/stdout | cat").ok().stdout, "one");
}

#[test]
fn what_is_deleted_in_part_is_said_and_is_no_conflict() {
    let desk = or_skip!(Desk::new());
    let fill = || {
        for key in ["a", "b"] {
            desk.other.put(&desk.object(key), "1");
        }
    };
    fill();
    fails(
        &desk.run("etagfs rm $S/a $S/none $S/b"),
        1,
        &["/a was deleted", "/none does not exist"],
    );
    assert_eq!(desk.other.keys(), [desk.object(""), desk.object("b")]);
    fill();
    desk.proxy.inject(
        When::op(Op::Delete).key(&desk.object("b")),
        Fault::Answer(412, "PreconditionFailed"),
    );
    fails(
        &desk.run("etagfs rm --retries 0 $S/a $S/b"),
        1,
        &["/a was deleted", "/b was saved by others"],
    );
    // Nothing of it happened.
    fails(
        &desk.run("etagfs rm --retries 0 $S/b $S/a"),
        75,
        &["/b was saved by others"],
    );
    fails(
        &desk.run("etagfs rm $S/none $S/a"),
        66,
        &["/none does not exist"],
    );
}

/// A bucket that has two names, as an alias or an access point gives it another one. The server takes requests
/// without a signature: one for another path would have none that fits.
struct Aliased {
    server: Running,
    proxy: Proxy,
    bucket: Bucket,
    alias: Bucket,
    store: String,
    dir: tempfile::TempDir,
}

impl Aliased {
    fn new(desk: &Desk) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = "exec etagfs serve --no-sync --listen 127.0.0.1:0 data";
        let server = desk.script(server).within(dir.path()).start();
        let mut url = None;
        wait::until("the server listens", wait::SOON, || {
            let said = server.stdout_so_far();
            let said = said
                .lines()
                .find_map(|line| line.strip_prefix("listening on "));
            url = said.map(str::to_owned);
            url.is_some()
        });
        let proxy = Proxy::to(&url.unwrap());
        let named = |name: String| Bucket {
            name,
            endpoint: proxy.endpoint(),
            keys: desk.bucket.keys.clone(),
        };
        let bucket = named(random_name("real"));
        let alias = named(random_name("alias"));
        let (from, to) = (format!("/{}", alias.name), format!("/{}", bucket.name));
        let name = alias.name.clone();
        proxy.inject(
            When::any().and(move |request| request.bucket == name),
            Fault::Elsewhere(from, to),
        );
        bucket.client().create_bucket().unwrap();
        let store = desk.store.clone();
        bucket.client().put(&format!("{store}/"), "");
        Self {
            server,
            proxy,
            bucket,
            alias,
            store,
            dir,
        }
    }

    /// `$S` and `$A` are the store in the bucket by its two names.
    fn script(&self, text: &str) -> Script {
        let url = |bucket: &Bucket| format!("s3://{}/{}", bucket.name, self.store);
        cli::script(&self.bucket, self.dir.path(), text)
            .env("S", url(&self.bucket))
            .env("A", url(&self.alias))
    }

    fn run(&self, text: &str) -> Output {
        self.script(text).run()
    }

    fn mount(&self, bucket: &Bucket) -> mounts::Mounted {
        Mount::of(bucket).store(&self.store).start()
    }
}

impl Drop for Aliased {
    fn drop(&mut self) {
        self.server.kill();
    }
}

#[test]
fn mv_between_two_names_of_one_object_loses_nothing() {
    let desk = or_skip!(Desk::new());
    let ground = Aliased::new(&desk);
    let client = ground.bucket.client();
    let object = |key: &str| format!("{}/{key}", ground.store);
    client.put(&object("key"), "value");
    let one = ["one object under two names", "nothing was deleted"];
    fails(&ground.run("etagfs mv $S/key $A/key"), 1, &one);
    fails(&ground.run("etagfs mv $A/key $S/key"), 1, &one);
    let etag = client.head(&object("key")).unwrap().etag;
    let script = format!("etagfs mv --if-match '{etag}' $S/key $A/key");
    fails(&ground.run(&script), 1, &one);
    fails(
        &ground.run("etagfs mv -n $S/key $A/key"),
        75,
        &["exists already"],
    );
    assert_eq!(client.text(&object("key")), "value");
    // Two objects with one value have one ETag, and are two: by whatever names.
    client.put(&object("same"), "value");
    for (script, left) in [
        ("etagfs mv $S/key $A/same", "same"),
        ("etagfs mv $A/same $S/new", "new"),
        ("etagfs mv $S/new $S/key", "key"),
    ] {
        ground.run(script).ok();
        assert_eq!(client.keys(), [object(""), object(left)], "{script}");
    }
    // That costs a request.
    let mark = ground.proxy.mark();
    ground.run("etagfs mv $S/key $S/moved").ok();
    ground.proxy.settle();
    let counted = ground.proxy.since(mark).counts().line();
    assert_eq!(counted, "GET 1, HEAD 2, PUT 1, DELETE 1");
}

#[test]
fn mv_between_mounts_of_two_names_of_one_object_loses_nothing() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let ground = Aliased::new(&desk);
    let client = ground.bucket.client();
    let object = |key: &str| format!("{}/{key}", ground.store);
    client.put(&object("key"), "value");
    let (real, alias) = (ground.mount(&ground.bucket), ground.mount(&ground.alias));
    let run = |text: &str| {
        let script = ground.script(text);
        script.env("M", real.path()).env("N", alias.path()).run()
    };
    for script in [
        "etagfs mv $M/key $A/key",
        "etagfs mv $A/key $M/key",
        "etagfs mv $S/key $N/key",
        "etagfs mv $M/key $N/key",
    ] {
        fails(&run(script), 1, &["one object under two names"]);
        assert_eq!(client.text(&object("key")), "value", "{script}");
    }
    for (script, left) in [
        ("etagfs mv $M/key $A/two", "two"),
        ("etagfs mv $A/two $M/three", "three"),
        ("etagfs mv $M/three $N/four", "four"),
    ] {
        run(script).ok();
        assert_eq!(client.keys(), [object(""), object(left)], "{script}");
    }
}

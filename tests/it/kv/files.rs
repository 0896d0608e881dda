//! The same commands on paths: in a mount with the guarantees of a mount, elsewhere by ordinary means.

use serde_json::Value as Json;

use super::{Desk, fails};
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Output;
use crate::world::proxy::{Fault, Gate, Op, When};

/// A desk with a mount of its store; `$M` is the mount point.
pub(super) struct Ground {
    pub(super) desk: Desk,
    pub(super) mount: Mounted,
}

impl Ground {
    pub(super) fn new() -> Result<Self, String> {
        mounts::possible()?;
        let desk = Desk::new()?;
        let mount = Mount::of(&desk.bucket).store(&desk.store).start();
        Ok(Self { desk, mount })
    }

    pub(super) fn run(&self, text: &str) -> Output {
        self.desk.script(text).env("M", self.mount.path()).run()
    }

    #[track_caller]
    pub(super) fn says(&self, text: &str) -> String {
        self.run(text).ok().stdout
    }
}

#[test]
fn commands_mean_the_same_on_a_path_of_a_mount() {
    let ground = or_skip!(Ground::new());
    let etag = ground.says("printf one | etagfs create $M/key");
    let object = ground.desk.other.get(&ground.desk.object("key")).unwrap();
    assert_eq!((object.text(), etag.trim()), ("one", &*object.etag));
    let out = ground.run("etagfs get --etag $M/key").ok();
    assert_eq!((&*out.stdout, &*out.stderr), ("one", &*etag));
    fails(
        &ground.run("echo x | etagfs create $M/key"),
        75,
        &["key exists already"],
    );
    let etag = etag.trim();
    let put = format!("printf two | etagfs put $M/key --if-match '{etag}'");
    let second = ground.says(&put);
    fails(
        &ground.run(&put),
        75,
        &["key does not have the version", etag],
    );
    assert_eq!(ground.says("etagfs get $M/key"), "two");
    let stat: Json = serde_json::from_str(&ground.says("etagfs stat --json $M/key")).unwrap();
    assert_eq!(stat["etag"], second.trim());
    let stale = format!("etagfs rm --if-match '{etag}' $M/key");
    fails(&ground.run(&stale), 75, &["key"]);
    let same = format!("etagfs get --if-none-match '{}' $M/key", second.trim());
    assert_eq!(ground.run(&same).code, Some(3));
    assert_eq!(ground.says("etagfs get --range 1-1 $M/key"), "w");
    ground.says("etagfs put $M/key < /dev/null; etagfs append $M/key <<< line");
    assert_eq!(ground.says("etagfs log $M/key"), "line\n");
    ground.says("etagfs rm $M/key");
    fails(
        &ground.run("etagfs get $M/key"),
        66,
        &["key does not exist"],
    );
    assert_eq!(ground.desk.other.keys(), [ground.desk.object("")]);
    ground.mount.unmount();
}

#[test]
fn a_put_to_a_mount_never_replaces_what_it_was_not_told_of() {
    let ground = or_skip!(Ground::new());
    let old = ground.desk.other.put(&ground.desk.object("key"), "old");
    ground.says("etagfs get $M/key");
    ground.desk.other.put(&ground.desk.object("key"), "theirs");
    let put = format!("echo mine | etagfs put --if-match '{old}' $M/key");
    fails(&ground.run(&put), 75, &["key"]);
    assert_eq!(ground.desk.other.text(&ground.desk.object("key")), "theirs");
    ground.mount.unmount();
}

#[test]
fn content_type_and_metadata_travel_between_urls_and_mounts() {
    let ground = or_skip!(Ground::new());
    ground.says(
        "printf x | etagfs put $S/a --content-type text/x --meta colour=red
         etagfs cp $S/a $M/b; etagfs cp $M/b $S/c; etagfs cp $M/b $M/d
         printf y | etagfs put $M/e --content-type text/y --meta size=3",
    );
    for key in ["b", "c", "d"] {
        let found = ground.desk.other.head(&ground.desk.object(key)).unwrap();
        assert_eq!(found.content_type.as_deref(), Some("text/x"), "{key}");
        assert_eq!(found.metadata["colour"], "red", "{key}");
    }
    let said = ground.desk.other.head(&ground.desk.object("e")).unwrap();
    assert_eq!(said.content_type.as_deref(), Some("text/y"));
    assert_eq!(said.metadata["size"], "3");
    ground.mount.unmount();
}

#[test]
fn who_says_any_metadata_of_a_file_says_all_of_it() {
    let ground = or_skip!(Ground::new());
    ground.says(
        "printf x | etagfs put $S/page.html --content-type text/x --meta colour=red --meta size=1
         printf y | etagfs put $M/page.html --meta size=2",
    );
    let object = ground.desk.object("page.html");
    let found = ground.desk.other.head(&object).unwrap();
    assert_eq!(found.metadata.get("colour"), None);
    assert_eq!(found.metadata["size"], "2");
    // As without a mount: the type that the name gives.
    assert_eq!(found.content_type.as_deref(), Some("text/html"));
    assert_eq!(ground.desk.other.text(&object), "y");
    ground.mount.unmount();
}

#[test]
fn what_is_below_a_key_is_absent_in_a_mount_too() {
    let ground = or_skip!(Ground::new());
    ground.desk.other.put(&ground.desk.object("key"), "value");
    for key in ["$S/key/below", "$M/key/below"] {
        fails(
            &ground.run(&format!("etagfs get {key}")),
            66,
            &["does not exist"],
        );
        ground.says(&format!("etagfs rm --force {key}"));
        // Of which a version was asked for that it does not have.
        let pinned = format!("etagfs get --if-match x --default none {key}");
        fails(&ground.run(&pinned), 75, &["/below does not have"]);
    }
    ground.mount.unmount();
}

#[test]
fn mv_of_a_key_to_its_own_file_loses_nothing() {
    let ground = or_skip!(Ground::new());
    ground.desk.other.put(&ground.desk.object("key"), "value");
    for pair in [
        "$S/key $M/key",
        "$M/key $S/key",
        "$M/key $M/key",
        "$M/key $M/../mnt/key",
    ] {
        for command in ["mv", "cp"] {
            let out = ground.run(&format!("etagfs {command} {pair}"));
            fails(&out, 1, &["are the same"]);
        }
    }
    // One server by two names, and one object by another mount.
    let elsewhere = "ETAGFS_ENDPOINT_URL=${ETAGFS_ENDPOINT_URL/127.0.0.1/localhost}";
    for command in ["mv", "cp"] {
        let out = ground.run(&format!("{elsewhere} etagfs {command} $S/key $M/key"));
        fails(&out, 1, &["may be the same", "localhost", "etagfs get"]);
        let out = ground.run(&format!("etagfs {command} --flat $M/key $S/key"));
        fails(&out, 1, &["are the same"]);
    }
    assert_eq!(ground.desk.other.text(&ground.desk.object("key")), "value");
    ground.says("etagfs mv $S/key $M/other; etagfs mv $M/other $S/third");
    assert_eq!(
        ground.desk.other.keys(),
        [ground.desk.object(""), ground.desk.object("third")]
    );
    ground.mount.unmount();
}

/// Whatever is tried with two names of one key, beside somebody who counts with it.
#[test]
fn moving_a_key_onto_itself_loses_no_increment() {
    const TIMES: usize = 200;
    let ground = or_skip!(Ground::new());
    ground.desk.other.put(&ground.desk.object("key"), "0\n");
    let moves = "while :; do
        etagfs mv $S/key $S/key; etagfs mv $S/key $M/key; etagfs mv $M/key $S/key; etagfs cp $S/key $M/key
        echo round; done";
    let moving = ground
        .desk
        .script(moves)
        .env("M", ground.mount.path())
        .start();
    let count = format!(
        "for i in $(seq {TIMES}); do etagfs update $S/key -- sh -c 'echo $(($(cat) + 1))' || exit; done"
    );
    ground.says(&count);
    let rounds = moving.stdout_so_far().lines().count();
    moving.kill();
    moving.finish();
    let text = ground.desk.other.text(&ground.desk.object("key"));
    println!(
        "{rounds} rounds of moves beside {TIMES} increments: {}",
        text.trim()
    );
    assert_eq!(text, format!("{TIMES}\n"));
    assert!(rounds > 3, "{rounds}");
    ground.mount.unmount();
}

#[test]
fn a_file_tells_which_object_it_is_and_lists_it_not() {
    let ground = or_skip!(Ground::new());
    ground.desk.other.put(&ground.desk.object("key"), "1");
    let told = ground.says("cd $M; getfattr --only-values -n user.etagfs.object key");
    let (server, address) = told.split_once('\n').unwrap();
    assert_eq!(server, ground.desk.bucket.endpoint);
    let object = ground.desk.object("key");
    assert_eq!(
        address,
        format!("s3://{}/{object}", ground.desk.bucket.name)
    );
    // Which save wrote it: none of etagfs, then one of ours, and each has a number of its own.
    let put = || ground.says("cd $M; getfattr --only-values -n user.etagfs.put key");
    assert_eq!(put(), "");
    ground.says("echo 2 > $M/key");
    let first = put();
    ground.says("echo 3 | etagfs put $S/key");
    let second = put();
    let is_number =
        |told: &str| told.len() == 32 && told.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_number(&first) && is_number(&second) && first != second);
    let listed = ground.says("cd $M; getfattr -m - key");
    assert!(
        listed.contains("user.etag") && !listed.contains("etagfs"),
        "{listed}"
    );
    ground.mount.unmount();
}

#[test]
fn update_in_a_mount_is_a_compare_and_swap() {
    let ground = or_skip!(Ground::new());
    ground.desk.other.put(&ground.desk.object("key"), "1\n");
    // While the command runs somebody else saves, once.
    let update = "etagfs update --json $M/key -- sh -c 'read n
        test -e once || { touch once; echo 10 | etagfs put $S/key > /dev/null; }
        echo $((n + 1))'";
    let dir = tempfile::tempdir().unwrap();
    let script = ground.desk.script(update).env("M", ground.mount.path());
    let json = script.within(dir.path()).run().ok().stdout;
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["tries"], &json["changed"]),
        (&2.into(), &true.into())
    );
    assert_eq!(ground.desk.other.text(&ground.desk.object("key")), "11\n");
    ground.says("etagfs update $M/new -- echo made");
    assert_eq!(ground.desk.other.text(&ground.desk.object("new")), "made\n");
    ground.mount.unmount();
}

#[test]
fn a_race_that_is_lost_where_each_write_is_a_save_is_a_conflict() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let mount = Mount::of(&desk.bucket)
        .store(&desk.store)
        .arg("--sync")
        .start();
    desk.other.put(&desk.object("key"), "1\n");
    let gate = Gate::new();
    let save = When::op(Op::Put).key(&desk.object("key")).once();
    desk.proxy.inject(save, Fault::HoldRequest(gate.clone()));
    let update = "etagfs update --json $M/key -- sh -c 'read n; echo $((n + 1))'";
    let running = desk.script(update).env("M", mount.path()).start();
    gate.wait_for(1);
    desk.other.put(&desk.object("key"), "10\n");
    gate.open();
    let json: Json = serde_json::from_str(&running.finish().ok().stdout).unwrap();
    assert_eq!(json["tries"], 2);
    assert_eq!(desk.other.text(&desk.object("key")), "11\n");
    mount.unmount();
}

#[test]
fn a_listing_stops_at_nothing_that_is_no_file() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let script = "mkfifo pipe; ln -s nowhere a; mkdir b; ln -s b c; ln -s loop loop; echo 1 > file
        etagfs ls -l . | awk '{print $NF, $1}'; etagfs stat pipe | grep size";
    let out = desk.script(script).within(dir.path()).run().ok();
    let listed = "a -\nb/ -\nc -\nfile 2\nloop -\npipe -\n";
    assert_eq!(out.stdout, format!("{listed}size: 0\n"));
}

#[test]
fn an_ordinary_file_is_replaced_in_one_step_and_has_no_version() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    run("echo old > f; chmod 640 f; ln -s f link; ln f before; echo new | etagfs put link").ok();
    let script = "cat f before; stat -c %a f; test -L link; etagfs get f; etagfs stat --json f";
    let out = run(script).ok().stdout;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..4], ["new", "old", "640", "new"]);
    let stat: Json = serde_json::from_str(lines[4]).unwrap();
    assert_eq!((&stat["size"], stat.get("etag")), (&4.into(), None));
    for script in [
        "echo | etagfs put --if-match x f",
        "etagfs get --if-match x f",
        "etagfs rm --if-match x f",
    ] {
        fails(
            &run(script),
            2,
            &["f is in no mount", "s3://BUCKET/UUID/KEY"],
        );
    }
    fails(
        &run("echo x | etagfs put no/such/f"),
        1,
        &["no/such/f", "directory"],
    );
    assert_eq!(run("etagfs ls .").ok().stdout, "before\nf\nlink\n");
    // Also what the umask would take from a new one.
    let script = "umask 077; chmod 666 f; echo 1 | etagfs put f; stat -c %a f; etagfs get f";
    assert_eq!(run(script).ok().stdout, "666\n1\n");
    fails(
        &run("mkfifo pipe; echo | etagfs create pipe"),
        75,
        &["pipe exists already"],
    );
    run("etagfs rm f; test ! -e f").ok();
}

#[test]
fn an_append_to_a_full_disk_says_how_much_there_is() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    // A file that can hold 1024 bytes.
    let script = "printf '%1000s' > f; (ulimit -f 1; trap '' XFSZ; printf '%100s' | etagfs append f); exit $?";
    let out = desk.script(script).within(dir.path()).run();
    fails(&out, 1, &["24 of 101 bytes were appended"]);
    assert_eq!(std::fs::metadata(dir.path().join("f")).unwrap().len(), 1024);
}

#[test]
fn a_url_is_utf8() {
    let desk = or_skip!(Desk::new());
    for script in [
        "etagfs get $S/$'a\\xff'",
        "echo | etagfs put $S/$'a\\xff'",
        "etagfs rm $S/a $S/$'\\xff'",
    ] {
        let out = desk.run(script);
        assert_eq!(out.code, Some(2), "{out:#?}");
        assert!(out.stderr.contains("UTF-8"), "{out:#?}");
    }
}

#[test]
fn what_is_moved_to_a_file_is_on_the_disk_before_it_is_deleted() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    desk.other.put(&desk.object("key"), "value");
    let gate = Gate::new();
    desk.proxy
        .inject(When::op(Op::Delete), Fault::HoldRequest(gate.clone()));
    let script = "mkdir d; exec strace -f -e trace=fsync,rename,renameat,renameat2 -o trace etagfs mv $S/key d/file";
    let moving = desk.script(script).within(dir.path()).start();
    gate.wait_for(1);
    let trace = std::fs::read_to_string(dir.path().join("trace")).unwrap();
    gate.open();
    moving.finish().ok();
    let calls: Vec<_> = trace
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim().split('(').next())
        .filter(|call| call.starts_with("fsync") || call.starts_with("rename"))
        .collect();
    assert_eq!(calls.len(), 3, "{trace}");
    assert!(
        calls[0] == "fsync" && calls[1].starts_with("rename") && calls[2] == "fsync",
        "{trace}"
    );
}

/// What is run as somebody who is not root: whom permissions hold.
const AS_NOBODY: &str = "chmod 755 .; as=; test \"$(id -u)\" != 0 || as='setpriv --reuid 65534 --regid 65534 --clear-groups'\n";

#[test]
fn a_save_into_a_directory_that_cannot_be_read_is_a_save() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    desk.other.put(&desk.object("key"), "moved");
    let script = "mkdir d; echo 1 > f; test -z \"$as\" || chown 65534 d; chmod 333 d
        $as etagfs put d/put < f && $as etagfs create d/create < f && $as etagfs mv $S/key d/mv || exit 9
        echo '{\"key\": \"mput\", \"value\": \"1\"}' | $as etagfs mput --in d
        $as etagfs create d/create < f; test $? = 75 || exit 8
        $as etagfs append d/put < f || exit 7
        chmod 755 d; ls -A d; cat d/put d/mv";
    let out = desk
        .script(&format!("{AS_NOBODY}{script}"))
        .within(dir.path())
        .run();
    assert_eq!(out.code, Some(0), "{out:#?}");
    assert!(out.stdout.contains("\"saved\""), "{out:#?}");
    assert!(
        out.stdout.ends_with("create\nmput\nmv\nput\n1\n1\nmoved"),
        "{out:#?}"
    );
    assert_eq!(desk.other.keys(), [desk.object("")]);
}

#[test]
fn what_cannot_be_deleted_is_not_moved() {
    let ground = or_skip!(Ground::new());
    let keys = || ground.desk.other.keys();
    let before = keys();
    for own in ["status", "conflicts", "access"] {
        let out = ground.run(&format!("timeout 30 etagfs mv $M/.etagfs/{own} $S/key"));
        fails(&out, 1, &["cannot be moved", "mount's own"]);
        let out = ground.run(&format!("timeout 30 etagfs mv $M/.etagfs/{own} $M/key"));
        fails(&out, 1, &["cannot be moved", "mount's own"]);
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mkdir d; echo 1 > d/f; chmod 555 d; $as etagfs mv d/f $S/key";
    let out = ground
        .desk
        .script(&format!("{AS_NOBODY}{script}"))
        .within(dir.path())
        .run();
    fails(&out, 1, &["cannot be moved", "cannot be deleted"]);
    let reader = Mount::of(&ground.desk.bucket)
        .store(&ground.desk.store)
        .arg("--read-only")
        .start();
    ground.desk.other.put(&ground.desk.object("old"), "1");
    let script = "etagfs mv $R/old $S/key";
    let out = ground.desk.script(script).env("R", reader.path()).run();
    fails(&out, 1, &["cannot be moved", "cannot be deleted"]);
    assert_eq!(keys(), [before, vec![ground.desk.object("old")]].concat());
}

#[test]
fn where_a_directory_cannot_be_made_durable_a_save_is_done() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    // The first one is that of the file, the second one that of its directory.
    let put = |error: &str, which: u32| {
        format!(
            "echo {error} | strace -f -o trace -e trace=fsync -e inject=fsync:error={error}:when={which} etagfs put f"
        )
    };
    for error in ["EINVAL", "EOPNOTSUPP"] {
        let out = run(&format!("{} && cat f", put(error, 2))).ok();
        assert_eq!(out.stdout, format!("{error}\n"));
    }
    // A disk that fails is another thing, and says what is there.
    let out = run(&put("EIO", 2));
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(out.stderr.contains("f: it is saved, but"), "{out:#?}");
    assert_eq!(run("cat f").ok().stdout, "EIO\n");
    let out = run(&put("EINVAL", 1));
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert_eq!(run("cat f; ls").ok().stdout, "EIO\nf\ntrace\n");
    // Pipes and devices have no fsync(2).
    let script =
        "echo x | etagfs append /dev/null; mkfifo p; cat p & echo line | etagfs append p; wait";
    assert_eq!(run(script).ok().stdout, "line\n");
}

//! Something between us and S3 answers for it: a router without the route, a gateway, a portal. Its status is
//! no verdict (R3), whatever it is: a HEAD has no body that could show whose word it is.

use super::{Desk, fails};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::{Fault, Op, When};

/// Commands that would mean something else if the key were absent.
const ABOUT_ABSENCE: [&str; 6] = [
    "etagfs rm -f $S/key",
    "etagfs rm $S/key",
    "etagfs get --default none $S/key",
    "etagfs stat $S/key",
    "etagfs mv $S/key $S/other",
    "etagfs mrm --in $S key",
];

#[test]
fn a_404_of_a_router_is_not_absent() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "value");
    let routed = desk.proxy.inject(When::any(), Fault::Page(404));
    for script in ABOUT_ABSENCE {
        let out = desk.run(script);
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
        assert!(!out.stdout.contains("absent"), "{script}: {out:#?}");
        let told = format!("{}{}", out.stdout, out.stderr);
        assert!(
            told.contains("not S3") || told.contains("1 keys failed"),
            "{script}: {out:#?}"
        );
    }
    routed.remove();
    assert_eq!(desk.other.text(&desk.object("key")), "value");
}

#[test]
fn a_head_that_nobody_answers_for_s3_is_asked_again_by_get() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "value");
    desk.other.put(&desk.object("empty"), "");
    let bare = |status| desk.proxy.inject(When::op(Op::Head), Fault::Page(status));
    let router = bare(404);
    // The GET says what there is, and what there is not.
    for (key, size) in [("key", 5), ("empty", 0)] {
        let known = desk.says(&format!("etagfs stat $S/{key}"));
        assert!(known.contains(&format!("size: {size}\n")), "{known}");
    }
    fails(&desk.run("etagfs stat $S/none"), 66, &["does not exist"]);
    desk.says("etagfs rm -f $S/none; etagfs rm $S/key; printf 1 | etagfs put $S/new > /dev/null");
    assert_eq!(
        desk.other.keys(),
        [desk.object(""), desk.object("empty"), desk.object("new")]
    );
    router.remove();
    for status in [304, 409, 412, 416] {
        let gateway = bare(status);
        for script in [
            "etagfs rm -f $S/new",
            "etagfs rm -f $S/none",
            "echo | etagfs put $S/new",
        ] {
            fails(&desk.run(script), 1, &["not S3"]);
        }
        gateway.remove();
    }
    assert_eq!(desk.other.text(&desk.object("new")), "1");
}

#[test]
fn a_page_is_no_answer_to_a_write() {
    let desk = or_skip!(Desk::new());
    let etag = desk.other.put(&desk.object("key"), "value");
    for status in [200, 304, 404, 409, 412] {
        let page = desk.proxy.inject(
            When::any().and(|asked| matches!(asked.op, Op::Put | Op::Delete)),
            Fault::Page(status),
        );
        for script in [
            "echo 1 | etagfs create --deadline 1 $S/new".to_owned(),
            format!("echo 1 | etagfs put --deadline 1 --if-match '{etag}' $S/key"),
            "etagfs update --deadline 1 --timeout 5 $S/key -- echo 1".to_owned(),
            format!("etagfs rm --deadline 1 --if-match '{etag}' $S/key"),
        ] {
            let out = desk.run(&script);
            // Nobody was first, and nothing was done.
            assert_eq!(out.code, Some(1), "{status}, {script}: {out:#?}");
            assert_eq!(out.stdout, "", "{status}, {script}: {out:#?}");
        }
        page.remove();
        assert_eq!(desk.other.text(&desk.object("key")), "value");
        assert_eq!(desk.other.get(&desk.object("new")), None);
    }
}

#[test]
fn a_page_once_is_only_a_delay() {
    let desk = or_skip!(Desk::new());
    for (round, status) in [200, 409, 412].into_iter().enumerate() {
        let etag = desk.other.put(&desk.object("key"), round.to_string());
        let page = |op| desk.proxy.inject(When::op(op).once(), Fault::Page(status));
        page(Op::Put);
        desk.says(&format!(
            "printf next | etagfs put --if-match '{etag}' $S/key > /dev/null"
        ));
        assert_eq!(desk.other.text(&desk.object("key")), "next", "{status}");
        page(Op::Delete);
        desk.says("etagfs rm $S/key");
        assert_eq!(desk.other.get(&desk.object("key")), None, "{status}");
    }
}

#[test]
fn a_page_instead_of_a_value_is_not_unchanged_and_not_another_version() {
    let desk = or_skip!(Desk::new());
    let etag = desk.other.put(&desk.object("key"), "value");
    for (status, script) in [
        (304, format!("etagfs get --if-none-match '{etag}' $S/key")),
        (412, format!("etagfs get --if-match '{etag}' $S/key")),
        (404, format!("etagfs get --if-match '{etag}' $S/key")),
        (416, "etagfs get --range 0-3 $S/key".to_owned()),
    ] {
        let page = desk.proxy.inject(When::op(Op::Get), Fault::Page(status));
        fails(&desk.run(&script), 1, &["not S3"]);
        page.remove();
    }
}

#[test]
fn what_a_router_says_is_no_enoent_in_a_mount() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "value");
    let mount = Mount::of(&desk.bucket)
        .store(&desk.store)
        .arg("--ttl=0")
        .arg("--deadline=2")
        .start();
    let router = desk.proxy.inject(When::any(), Fault::Page(404));
    for script in [
        "os.stat('key')",
        "os.listdir('.')",
        "os.unlink('key')",
        "os.rename('key', 'other')",
        "open('key').read()",
        "open('key', 'w')",
        "open('new', 'x').close()",
        "os.getxattr('key', 'user.etag')",
    ] {
        let told = attempt(mount.path(), script);
        assert!(
            !["ENOENT", "EAGAIN", "EEXIST", "ok"].contains(&&*told),
            "{script}: {told}"
        );
    }
    router.remove();
    assert_eq!(std::fs::read(mount.file("key")).unwrap(), b"value");
    mount.unmount();
}

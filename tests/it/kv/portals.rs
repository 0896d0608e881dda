//! A portal answers everything with 200 and a page: that is no value, no listing, and no bucket that was made or
//! removed. Real html values are read from every server, also from one that marks none of its answers.

use bytes::Bytes;

use super::{Desk, fails};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::{Fault, Op, When};
use crate::world::servers::Kind;
use crate::world::wait;

const PAGE: &str = "<html><body>Please log in</body></html>";

/// What a portal says to everything; to a HEAD without the page.
fn portal(has_body: bool) -> Fault {
    Fault::Raw(Bytes::from(format!(
        "HTTP/1.1 200 OK\r\nETag: \"5f3c-abc\"\r\nLast-Modified: Sat, 28 Nov 2026 10:00:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        PAGE.len(),
        if has_body { PAGE } else { "" }
    )))
}

#[test]
fn the_page_of_a_portal_is_no_answer() {
    let desk = or_skip!(Desk::new());
    let etag = desk.other.put(&desk.object("key"), "value");
    let head = desk.proxy.inject(When::op(Op::Head), portal(false));
    let rest = desk.proxy.inject(When::any(), portal(true));
    for script in [
        "etagfs get $S/key",
        "etagfs get --json $S/key",
        "etagfs get --range 0-3 $S/key",
        "etagfs get --default none $S/key",
        "etagfs cp $S/key -",
        "etagfs cp $S/key file && cat file",
        "etagfs log $S/key",
        "etagfs stat $S/key",
        "etagfs mget --in $S key",
        "etagfs ls $S",
        "etagfs ls --flat $B",
        "etagfs stores ls $B",
        "etagfs versions $S/key",
        "etagfs watch --count 1 --initial $S/key",
        "etagfs rm $S/key",
        "etagfs update $S/key -- cat",
        "echo line | etagfs append $S/key",
        "etagfs bucket create $B-new",
        "etagfs bucket rm $B",
        "echo 1 | etagfs put --deadline 2 $S/key",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let out = desk.script(script).within(dir.path()).run();
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
        let told = format!("{}{}", out.stdout, out.stderr);
        assert!(!told.contains("log in"), "{script}: {out:#?}");
        assert!(told.contains("not S3"), "{script}: {out:#?}");
    }
    head.remove();
    rest.remove();
    assert_eq!(desk.other.get(&desk.object("key")).unwrap().etag, etag);
}

#[test]
fn a_bucket_is_made_and_removed_only_by_s3() {
    let desk = or_skip!(Desk::new());
    // Neither html nor empty: no answer of S3's either.
    let talk = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\
                Connection: close\r\n\r\nok";
    let gateway = desk
        .proxy
        .inject(When::any(), Fault::Raw(Bytes::from_static(talk.as_bytes())));
    for script in ["etagfs bucket create $B-new", "etagfs bucket rm $B"] {
        fails(&desk.run(script), 1, &["not S3"]);
    }
    gateway.remove();
    desk.says("etagfs bucket create $B-new; etagfs bucket rm $B-new");
}

#[test]
fn html_is_a_value_on_every_server() {
    for kind in Kind::ALL {
        let desk = or_skip!(Desk::on(kind));
        // By somebody else: none of our marks is on it.
        let object = desk.object("page.html");
        desk.other.put_with(&object, PAGE, "text/html", &[]);
        assert_eq!(desk.says("etagfs get $S/page.html"), PAGE, "{kind:?}");
        let part = "etagfs get --range 0-5 $S/page.html";
        assert_eq!(desk.says(part), PAGE[..6], "{kind:?}");
        let known = desk.says("etagfs stat $S/page.html");
        assert!(known.contains("text/html"), "{kind:?}: {known}");
        let lines = desk.says("etagfs mget --in $S page.html | jq -r .status");
        assert_eq!(lines, "found\n", "{kind:?}");
        desk.says("etagfs bucket create $B-new; etagfs bucket rm $B-new");
    }
}

#[test]
fn a_mount_believes_no_portal() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "value");
    let mount = Mount::of(&desk.bucket)
        .store(&desk.store)
        .arg("--ttl=0")
        .arg("--deadline=2")
        .start();
    let head = desk.proxy.inject(When::op(Op::Head), portal(false));
    let rest = desk.proxy.inject(When::any(), portal(true));
    for script in [
        "os.stat('key')",
        "os.listdir('.')",
        "open('key').read()",
        "open('new', 'x').close()",
        "os.unlink('key')",
        "os.rename('key', 'other')",
    ] {
        let told = attempt(mount.path(), script);
        let wrong = ["ENOENT", "EAGAIN", "EEXIST", "ok"];
        assert!(!wrong.contains(&&*told), "{script}: {told}");
    }
    head.remove();
    rest.remove();
    // Who stood in a queue when it failed is told so for a moment.
    wait::until("the store is believed again", wait::SOON, || {
        std::fs::read(mount.file("key")).is_ok_and(|value| value == b"value")
    });
    mount.unmount();
}

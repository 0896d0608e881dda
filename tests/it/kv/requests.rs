//! What each command costs, in requests: counted by the proxy between it and the server.

use super::Desk;

#[test]
fn each_command_makes_the_fewest_requests_that_it_can() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "value");
    let etag = "$(cat etag)";
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::new();
    for (script, requests) in [
        ("etagfs get $S/key", "GET 1"),
        ("etagfs get --etag $S/key", "GET 1"),
        ("etagfs get --range 1-2 $S/key", "GET 1"),
        ("etagfs stat $S/key", "HEAD 1"),
        (
            "echo 1 | etagfs put $S/key --if-match ETAG --content-type text/x",
            "PUT 1",
        ),
        (
            "echo 2 | etagfs put $S/key --if-match ETAG",
            "HEAD 1, PUT 1",
        ),
        ("echo 3 | etagfs put $S/key", "HEAD 1, PUT 1"),
        ("echo 4 | etagfs create $S/new", "LIST 1, PUT 1"),
        (
            "echo 4 | etagfs create --store-layout plain $S/new2",
            "PUT 1",
        ),
        ("echo 4 | etagfs create --flat $S/new3", "PUT 1"),
        ("etagfs update $S/key -- echo 5", "GET 1, PUT 1"),
        ("etagfs update $S/key -- cat", "GET 1"),
        ("echo 6 | etagfs append $S/key", "GET 1, PUT 1"),
        ("etagfs log $S/key", "GET 1"),
        ("etagfs cp $S/key $S/new", "GET 1, HEAD 1, PUT 1"),
        (
            "etagfs mv $S/new2 $S/moved",
            // The copy has the ETag of the source: is it that?
            "GET 1, HEAD 2, PUT 1, DELETE 1",
        ),
        ("etagfs presign $S/key", "LIST 1"),
        ("etagfs presign --store-layout plain $S/key", ""),
        ("etagfs rm --if-match ETAG $S/key", "HEAD 1, DELETE 1"),
        ("etagfs rm $S/new", "HEAD 1, DELETE 1"),
        ("etagfs ls $S", "LIST 2"),
        ("etagfs ls --store-layout plain $S", "LIST 1"),
        // A store that has no such key may be one of konserve.
        ("etagfs get $S/missing --default x", "LIST 1, GET 1"),
        (
            "etagfs get --store-layout plain $S/missing --default x",
            "GET 1",
        ),
    ] {
        let now = desk.other.head(&desk.object("key")).map(|found| found.etag);
        std::fs::write(dir.path().join("etag"), now.unwrap_or_default()).unwrap();
        let script = script.replace("ETAG", etag);
        let mark = desk.proxy.mark();
        desk.script(&script).within(dir.path()).run().ok();
        desk.proxy.settle();
        let counted = desk.proxy.since(mark).counts().line();
        table.push_str(&format!("{requests:32} {script}\n"));
        assert_eq!(counted, requests, "{script}");
    }
    crate::world::report::write("kv-requests", &table);
    println!("{table}");
}

//! The key-value commands on a live konserve store, with no mount: the sentences of konserve's own
//! compliance test where a command expresses them.

use konserve_codec::metadata::Kind;

use super::fixtures::Store;
use super::writer::{Writer, value};
use crate::world::cli;
use crate::world::procs::Output;
use crate::world::proxy::Proxy;
use crate::world::servers::{self, Bucket, Kind as Server};

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

/// A bucket with a program's store.
struct Ground {
    bucket: Bucket,
    proxy: Proxy,
    state: tempfile::TempDir,
    store: String,
    writer: Writer,
}

impl Ground {
    fn new() -> Result<Self, String> {
        let direct = servers::shared(Server::Embedded)?.bucket();
        let writer = Writer::create(&direct.client(), STORE);
        Ok(Self::of(direct, STORE, writer))
    }

    fn of(direct: Bucket, store: &str, writer: Writer) -> Self {
        let proxy = Proxy::to(&direct.endpoint);
        Self {
            bucket: Bucket {
                endpoint: proxy.endpoint(),
                ..direct
            },
            proxy,
            state: tempfile::tempdir().unwrap(),
            store: store.to_owned(),
            writer,
        }
    }

    fn run(&self, text: &str) -> Output {
        let url = format!("s3://{}/{}", self.bucket.name, self.store);
        let script = cli::script(&self.bucket, self.state.path(), text);
        script.env("S", url).run()
    }

    #[track_caller]
    fn says(&self, text: &str) -> String {
        self.run(text).ok().stdout
    }
}

#[test]
fn values_are_edn_text_and_keys_are_spelled_as_file_names() {
    let ground = or_skip!(Ground::new());
    ground.writer.assoc(":config", "{:colour :green, :size 3}");
    ground.writer.assoc(":my.app/user", "1");
    ground.writer.assoc("\"notes\"", "\"text\"");
    ground.writer.bassoc(":binbar", &[0, 1, 2, 255]);
    assert_eq!(
        ground.says("etagfs get $S/:config"),
        "{:colour :green, :size 3}\n"
    );
    // A slash may stand for itself, and a string for its EDN.
    for spelling in [":my.app/user", ":my.app%2Fuser"] {
        assert_eq!(ground.says(&format!("etagfs get $S/{spelling}")), "1\n");
    }
    for spelling in ["notes", "\\\"notes\\\""] {
        assert_eq!(
            ground.says(&format!("etagfs get $S/{spelling}")),
            "\"text\"\n"
        );
    }
    assert_eq!(ground.says("etagfs get $S/:binbar | xxd -p"), "000102ff\n");
    assert_eq!(
        ground.says("etagfs ls $S"),
        ":binbar\n:config\n:my.app%2Fuser\nnotes\n"
    );
    let stat = ground.says("etagfs stat $S/:config");
    assert!(stat.contains("konserve.key: :config\n"), "{stat}");
}

#[test]
fn get_put_update_and_rm_do_what_konserve_does() {
    let ground = or_skip!(Ground::new());
    let writer = &ground.writer;
    // get of a missing key gives the default; exists? is false.
    let missing = ground.run("etagfs get $S/:foo");
    assert_eq!(missing.code, Some(66), "{missing:#?}");
    assert_eq!(ground.says("etagfs get $S/:foo --default nil"), "nil");
    // assoc, get.
    ground.says("echo :bar | etagfs put $S/:foo");
    assert_eq!(writer.get(":foo"), value(":bar"));
    // assoc again, update with name, nested update.
    ground.says(
        "echo :bar2 | etagfs put $S/:foo; etagfs update $S/:foo -- sed 's/^:\\(.*\\)/\"\\1\"/'",
    );
    assert_eq!(writer.get(":foo"), value("\"bar2\""));
    ground.says("echo '{:bar 42}' | etagfs create $S/:baz");
    ground.says("etagfs update $S/:baz -- sed s/42/43/");
    assert_eq!(writer.get(":baz"), value("{:bar 43}"));
    assert_eq!(writer.read(&value(":baz")).metadata.kind(), Some(Kind::Edn));
    // What is no value is refused, and says why.
    let bad = ground.run("echo '{:a' | etagfs put $S/:baz");
    assert_eq!(bad.code, Some(1), "{bad:#?}");
    assert!(bad.stderr.contains("line 1"), "{bad:#?}");
    // dissoc: there, and not there.
    ground.says("etagfs rm $S/:baz");
    assert_eq!(ground.run("etagfs rm $S/:baz").code, Some(66));
    // The name of the store's objects tells that nothing plain was made.
    let client = ground.bucket.client();
    assert!(
        client
            .keys()
            .iter()
            .all(|key| key.starts_with(&format!("{STORE}_")))
    );
}

#[test]
fn compare_and_set_and_create_hold_in_konserve_stores() {
    let ground = or_skip!(Ground::new());
    let old = ground.writer.assoc(":key", "1");
    ground.writer.assoc(":key", "2");
    for script in [
        format!("echo 3 | etagfs put $S/:key --if-match '{old}'"),
        "echo 3 | etagfs create $S/:key".to_owned(),
        format!("etagfs rm $S/:key --if-match '{old}'"),
        format!("etagfs get $S/:key --if-match '{old}'"),
    ] {
        assert_eq!(ground.run(&script).code, Some(75), "{script}");
    }
    assert_eq!(ground.writer.get(":key"), value("2"));
    let race = "for i in 1 2 3 4; do (echo $i | etagfs create $S/:new >/dev/null 2>&1; echo $?) & done; wait";
    let codes = ground.says(race);
    assert_eq!(
        codes.lines().filter(|code| *code == "0").count(),
        1,
        "{codes}"
    );
}

#[test]
fn bytes_become_a_binary_value_where_that_is_said() {
    let ground = or_skip!(Ground::new());
    let read = |key: &str| {
        let read = ground.writer.read(&value(key));
        (read.metadata.kind(), read.stored)
    };
    ground.says("printf '\\377\\376' | etagfs put --binary $S/:photo");
    assert_eq!(read(":photo"), (Some(Kind::Binary), vec![0xff, 0xfe]));
    // It stays one; and a value of another kind becomes one.
    ground.says("printf '\\375' | etagfs put $S/:photo");
    assert_eq!(read(":photo"), (Some(Kind::Binary), vec![0xfd]));
    ground.writer.assoc(":config", "{:a 1}");
    ground.says("printf '{:a' | etagfs put --binary $S/:config");
    assert_eq!(read(":config"), (Some(Kind::Binary), b"{:a".to_vec()));
    let refused = ground.run("printf '\\376' | etagfs create $S/:other");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not UTF-8"), "{refused:?}");
    let path = ground.run("echo 1 | etagfs put --binary ./file");
    assert_eq!(path.code, Some(2), "{path:?}");
}

#[test]
fn values_are_copied_between_the_layouts() {
    let ground = or_skip!(Ground::new());
    ground.writer.bassoc(":binbar", &[0, 1, 2, 255]);
    ground.writer.assoc(":config", "{:a 1}");
    ground.says(
        "plain=$(dirname $S)/$(etagfs stores create $(dirname $S))
         etagfs cp $S/:config $plain/config.edn; etagfs cp $plain/config.edn $S/:copy
         etagfs cp $S/:binbar $S/:binary; etagfs mv $S/:config $S/:moved",
    );
    assert_eq!(ground.writer.get(":copy"), value("{:a 1}"));
    assert_eq!(ground.writer.get(":moved"), value("{:a 1}"));
    let copy = ground.writer.read(&value(":binary"));
    assert_eq!(
        (copy.stored, copy.metadata.kind()),
        (vec![0, 1, 2, 255], Some(Kind::Binary))
    );
    assert_eq!(
        ground.says("etagfs ls $S"),
        ":binary\n:binbar\n:copy\n:moved\n"
    );
}

#[test]
fn logs_are_shown_and_appended_to() {
    let direct = or_skip!(servers::shared(Server::Embedded)).bucket();
    let store = Store::load("fressian-appendlog");
    store.fill(&direct.client());
    let writer = Writer::of(&direct.client(), &store.id);
    let ground = Ground::of(direct, &store.id, writer);
    let shown = "{:type :start}\n\"second\"\n3\n[4 5]\n";
    assert_eq!(ground.says("etagfs log $S/:alog/log"), shown);
    ground.says(
        "for i in 1 2 3 4; do (echo \":event-$i\" | etagfs append $S/:alog/log) & done; wait",
    );
    let log = ground.says("etagfs log $S/:alog/log");
    assert!(log.starts_with(shown), "{log}");
    let mut added: Vec<_> = log.lines().skip(4).collect();
    added.sort_unstable();
    assert_eq!(added, [":event-1", ":event-2", ":event-3", ":event-4"]);
    assert_eq!(ground.says("etagfs log -n 2 $S/:alog/log | wc -l"), "2\n");
    let json = ground.says("etagfs log -n 8 --json $S/:alog/log | head -n 2 | tail -n 1");
    assert_eq!(json, "{\"line\":2,\"text\":\"\\\"second\\\"\"}\n");
}

/// The first item of konserve's compliance test.
#[test]
fn append_of_two_maps_makes_a_log_that_gives_both_in_order() {
    let ground = or_skip!(Ground::new());
    ground.says(
        "echo '{:bar 42}' | etagfs append $S/:foolog; echo '{:bar 43}' | etagfs append $S/:foolog",
    );
    assert_eq!(
        ground.says("etagfs log $S/:foolog"),
        "{:bar 42}\n{:bar 43}\n"
    );
    let head = ground.writer.read(&value(":foolog"));
    assert_eq!(head.metadata.kind(), Some(Kind::AppendLog));
    assert_eq!(head.metadata.key(), &value(":foolog"));
    let race = "for i in 1 2 3 4 5; do (printf '%s\n' \"[$i :a]\" \"[$i :b]\" | etagfs append $S/:race) & done; wait";
    ground.says(race);
    let log = ground.says("etagfs log $S/:race");
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 10, "{log}");
    // What was appended together stays together.
    for pair in lines.chunks(2) {
        assert_eq!(pair[0].replace(":a", ":b"), pair[1], "{log}");
    }
    let bad = ground.run("echo '{' | etagfs append $S/:other");
    assert_eq!(bad.code, Some(1), "{bad:#?}");
    assert_eq!(ground.says("etagfs ls $S"), ":foolog\n:race\n");
}

#[test]
fn commands_on_konserve_stores_make_few_requests() {
    let ground = or_skip!(Ground::new());
    ground.writer.assoc(":key", "1");
    for (script, requests) in [
        // In doubt: not a plain key; a konserve store; its key.
        ("etagfs get $S/:key", "LIST 1, GET 2"),
        ("etagfs get --store-layout konserve $S/:key", "GET 1"),
        (
            "etagfs update --store-layout konserve $S/:key -- echo 2",
            "GET 1, PUT 1",
        ),
        (
            "echo 3 | etagfs put --store-layout konserve $S/:key",
            "GET 1, PUT 1",
        ),
        // What changes no value sends nothing.
        (
            "echo 3 | etagfs put --store-layout konserve $S/:key",
            "GET 1",
        ),
    ] {
        let mark = ground.proxy.mark();
        ground.says(script);
        ground.proxy.settle();
        let counted = ground.proxy.since(mark).counts().line();
        assert_eq!(counted, requests, "{script}");
    }
}

#[test]
fn a_store_is_copied_with_its_logs_and_binary_values() {
    let direct = or_skip!(servers::shared(Server::Embedded)).bucket();
    let store = Store::load("fressian-appendlog");
    store.fill(&direct.client());
    let writer = Writer::of(&direct.client(), &store.id);
    writer.bassoc(":binbar", &[0, 255]);
    let ground = Ground::of(direct, &store.id, writer);
    let copy = ground.says("etagfs stores copy $S $(dirname $S)");
    let copy = copy.trim();
    let both = |command: &str| {
        let script = format!("etagfs {command} > one; etagfs {command} > two; cat two");
        let (one, two) = script.split_once("; ").unwrap();
        let script = format!(
            "{}; {}; cmp one two",
            one.replace('@', "$S"),
            two.replace('@', copy).replace("; cat two", "")
        );
        ground.says(&format!("cd $(mktemp -d); {script}; rm -r $PWD"));
    };
    both("ls @");
    both("log @/:alog/log");
    both("get @/:binbar");
    ground.says(&format!("echo :more | etagfs append {copy}/:alog/log"));
    assert_eq!(
        ground.says(&format!("etagfs log -n 1 {copy}/:alog/log")),
        ":more\n"
    );
    assert_eq!(ground.says("etagfs log -n 1 $S/:alog/log"), "[4 5]\n");
}

#[test]
fn many_keys_are_read_saved_and_deleted_as_konserve_does_it() {
    let ground = or_skip!(Ground::new());
    let statuses = |script: &str| {
        ground.says(&format!(
            "{script} | jq -r '.key + \" \" + .status' | tr '\n' ','"
        ))
    };
    // multi-assoc of two, in order, the pointer last.
    let put = r#"printf '%s\n' '{"key":":node","value":"{:a 1}"}' '{"key":":root","value":":node"}' | etagfs mput --ordered --in $S"#;
    assert_eq!(statuses(put), ":node saved,:root saved,");
    assert_eq!(ground.writer.get(":root"), value(":node"));
    // multi-get: all there, some missing, all missing, no keys.
    let get = "etagfs mget --in $S";
    assert_eq!(
        statuses(&format!("{get} :node :root")),
        ":node found,:root found,"
    );
    assert_eq!(
        statuses(&format!("{get} :none :root")),
        ":none absent,:root found,"
    );
    assert_eq!(statuses(&format!("{get} :none")), ":none absent,");
    assert_eq!(statuses(&format!("{get} < /dev/null")), "");
    assert_eq!(
        ground.says(&format!("{get} :node | jq -r .value")),
        "{:a 1}\n\n"
    );
    // multi-dissoc: mixed.
    assert_eq!(
        statuses("etagfs mrm --in $S :node :none"),
        ":node removed,:none absent,"
    );
    let bad = ground.run(r#"echo '{"key":":x","value":"{:a"}' | etagfs mput --in $S"#);
    assert_eq!(bad.code, Some(1), "{bad:#?}");
    assert!(bad.stdout.contains("line 1"), "{bad:#?}");
}

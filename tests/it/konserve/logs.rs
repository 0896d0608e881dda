//! Append logs: shown a form a line, appended to in the way of the library, and in no other.

use std::fs::{self, File};
use std::io::Write;
use std::thread;

use konserve_codec::log::{Element, Head, object_of};
use konserve_codec::metadata::{Kind, Metadata};
use konserve_codec::{Value, edn};
use uuid::Uuid;

use super::fixtures::Store;
use super::writer::{Writer, value};
use crate::world::attempts::attempt;
use crate::world::client::Client;
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::rescues;
use crate::world::servers::{self, Kind as Server};

/// The fixture's store, and its log `:alog/log` with four elements.
fn ground() -> Result<(Mounted, Writer), String> {
    mounts::possible()?;
    let bucket = servers::shared(Server::Embedded)?.bucket();
    let store = Store::load("fressian-appendlog");
    store.fill(&bucket.client());
    let mount = Mount::of(&bucket).store(&store.id).arg("--ttl=0").start();
    Ok((mount, Writer::of(&bucket.client(), &store.id)))
}

const LOG: &str = ":alog%2Flog";
const SHOWN: &str = "{:type :start}\n\"second\"\n3\n[4 5]\n";

/// `(k/log store :alog/log)`: from the first element by `:next`, to the end.
fn walk(writer: &Writer) -> Vec<String> {
    let head = Head::of(&writer.get(":alog/log")).unwrap();
    let mut at = Some(head.first);
    let mut values = Vec::new();
    let mut last = head.first;
    while let Some(id) = at {
        let read = writer.read_object(&format!("{}_{}.ksv", writer.store, object_of(id)));
        assert_eq!(read.metadata.key(), &value(":alog/log"));
        assert_eq!(read.metadata.kind(), Some(Kind::AppendLog));
        let element = Element::of(&writer.decode(&read)).unwrap();
        values.push(edn::print_line(&element.value));
        last = id;
        at = element.next;
    }
    assert_eq!(last, head.last, "the head names the last element");
    values
}

/// `(k/append store :alog/log value)` of a program without locking.
fn append(writer: &Writer, bucket: &Client, text: &str) {
    let head = Head::of(&writer.get(":alog/log")).unwrap();
    let id = Uuid::new_v4();
    let object = |id| format!("{}_{}.ksv", writer.store, object_of(id));
    let put = |name: &str, value: &Value| {
        let metadata = Metadata::new(super::writer::value(":alog/log"), &Kind::AppendLog, 1);
        let stored = writer.codec.encode(value, None).unwrap();
        bucket.put(name, writer.blob(writer.codec, &metadata, &stored));
    };
    let element = Element {
        next: None,
        value: value(text),
    };
    put(&object(id), &element.into_value());
    let last = Element::of(&writer.decode(&writer.read_object(&object(head.last)))).unwrap();
    put(
        &object(head.last),
        &Element {
            next: Some(id),
            ..last
        }
        .into_value(),
    );
    let head = Head { last: id, ..head };
    put(&writer.object(&value(":alog/log")), &head.into_value());
}

#[test]
fn a_log_is_a_form_a_line() {
    let (mount, writer) = or_skip!(ground());
    assert_eq!(fs::read_to_string(mount.file(LOG)).unwrap(), SHOWN);
    append(&writer, &writer.bucket, "{:from :a-program}");
    assert_eq!(
        fs::read_to_string(mount.file(LOG)).unwrap(),
        format!("{SHOWN}{{:from :a-program}}\n")
    );
}

#[test]
fn whole_lines_that_are_appended_become_elements() {
    let (mount, writer) = or_skip!(ground());
    let mut file = File::options().append(true).open(mount.file(LOG)).unwrap();
    file.write_all(b"{:a   1}\n[2\t3] ; four\n").unwrap();
    drop(file);
    let expected = [
        "{:type :start}",
        "\"second\"",
        "3",
        "[4 5]",
        "{:a 1}",
        "[2 3]",
    ];
    assert_eq!(walk(&writer), expected);
    let shown = fs::read_to_string(mount.file(LOG)).unwrap();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    append(&writer, &writer.bucket, ":behind");
    assert_eq!(walk(&writer).last().unwrap(), ":behind");
}

#[test]
fn a_handle_goes_on_behind_what_it_appended_however_that_was_written() {
    let (mount, writer) = or_skip!(ground());
    let mut file = File::options().append(true).open(mount.file(LOG)).unwrap();
    for line in ["{:a    1}\n", "[:b,,,2] ; two\n", ":c\n"] {
        file.write_all(line.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }
    drop(file);
    assert_eq!(walk(&writer)[4..], ["{:a 1}", "[:b 2]", ":c"]);
}

#[test]
fn any_other_write_to_a_log_is_refused() {
    let (mount, writer) = or_skip!(ground());
    let in_place = format!("f = os.open('{LOG}', os.O_RDWR)\nos.write(f, b'x')\nos.close(f)");
    assert_eq!(attempt(mount.path(), &in_place), "EROFS");
    let replaced = format!(
        "f = os.open('{LOG}', os.O_WRONLY | os.O_TRUNC)\nos.write(f, b':x\\n')\nos.close(f)"
    );
    assert_eq!(attempt(mount.path(), &replaced), "EROFS");
    let torn =
        format!("f = os.open('{LOG}', os.O_WRONLY | os.O_APPEND)\nos.write(f, b':x')\nos.close(f)");
    assert_eq!(attempt(mount.path(), &torn), "EINVAL");
    let wrong = format!(
        "f = os.open('{LOG}', os.O_WRONLY | os.O_APPEND)\nos.write(f, b':x\\n{{:a}}\\n')\nos.close(f)"
    );
    assert_eq!(attempt(mount.path(), &wrong), "EINVAL");
    assert!(mount.log().contains("line 6"), "{}", mount.log());
    assert_eq!(walk(&writer).len(), 4);
    assert_eq!(rescues::of_key(mount.state_dir(), ":alog/log").len(), 4);
}

#[test]
fn attributes_of_a_log_cannot_be_set() {
    let (mount, writer) = or_skip!(ground());
    fs::read(mount.file(LOG)).unwrap();
    let set = format!("os.setxattr('{LOG}', 'user.meta.colour', b'red')");
    assert_eq!(attempt(mount.path(), &set), "EROFS");
    let get = format!("os.getxattr('{LOG}', 'user.meta.colour')");
    assert_eq!(attempt(mount.path(), &get), "ENODATA");
    assert_eq!(walk(&writer).len(), 4);
}

#[test]
fn an_append_after_a_crash_takes_in_what_was_linked() {
    let (mount, writer) = or_skip!(ground());
    let head = writer
        .bucket
        .get(&writer.object(&value(":alog/log")))
        .unwrap();
    append(&writer, &writer.bucket, ":linked");
    // As if the program had died before it wrote the head.
    writer
        .bucket
        .put(&writer.object(&value(":alog/log")), head.bytes);
    let mut file = File::options().append(true).open(mount.file(LOG)).unwrap();
    file.write_all(b":after\n").unwrap();
    drop(file);
    assert_eq!(walk(&writer)[4..], [":linked", ":after"]);
    let shown = fs::read_to_string(mount.file(LOG)).unwrap();
    assert_eq!(shown, format!("{SHOWN}:linked\n:after\n"));
}

#[test]
fn a_handle_goes_on_after_another_mount_wrote_the_head_during_its_append() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Server::Embedded)).bucket();
    let store = Store::load("fressian-appendlog");
    store.fill(&bucket.client());
    let writer = Writer::of(&bucket.client(), &store.id);
    let slow = Counted::of(&bucket, |mount| mount.store(&store.id).arg("--ttl=0"));
    let quick = Mount::of(&bucket).store(&store.id).arg("--ttl=0").start();
    let gate = Gate::new();
    let head = When::op(Op::Put).key(&writer.object(&value(":alog/log")));
    slow.proxy
        .inject(head.once(), Fault::HoldRequest(gate.clone()));
    let mut file = File::options()
        .append(true)
        .open(slow.mount.file(LOG))
        .unwrap();
    thread::scope(|scope| {
        let appending = scope.spawn(|| {
            file.write_all(b":slow-1\n").unwrap();
            file.sync_all().unwrap();
            file.write_all(b":slow-2\n").unwrap();
            file.sync_all().unwrap();
        });
        // It is linked, and the head does not name it yet.
        gate.wait_for(1);
        File::options()
            .append(true)
            .open(quick.file(LOG))
            .and_then(|mut file| {
                file.write_all(b":quick\n")?;
                file.sync_all()
            })
            .unwrap();
        gate.open();
        appending.join().unwrap();
    });
    assert_eq!(walk(&writer)[4..], [":slow-1", ":quick", ":slow-2"]);
    let shown = fs::read_to_string(slow.mount.file(LOG)).unwrap();
    assert_eq!(shown, format!("{SHOWN}:slow-1\n:quick\n:slow-2\n"));
}

/// `(k/dissoc store :alog/log)`, and `(k/append store :alog/log value)`: another log under the same key.
fn make_anew(writer: &Writer, text: &str) {
    let id = Uuid::new_v4();
    element(writer, id, None, text);
    head(
        writer,
        Head {
            last: id,
            first: id,
        },
    );
}

#[test]
fn what_was_linked_to_a_log_that_was_made_anew_meanwhile_is_appended_to_the_new_one() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Server::Embedded)).bucket();
    let store = Store::load("fressian-appendlog");
    store.fill(&bucket.client());
    let writer = Writer::of(&bucket.client(), &store.id);
    let counted = Counted::of(&bucket, |mount| mount.store(&store.id).arg("--ttl=0"));
    let gate = Gate::new();
    let head = When::op(Op::Put).key(&writer.object(&value(":alog/log")));
    counted
        .proxy
        .inject(head.once(), Fault::HoldRequest(gate.clone()));
    let mut file = File::options()
        .append(true)
        .open(counted.mount.file(LOG))
        .unwrap();
    thread::scope(|scope| {
        let appending = scope.spawn(|| {
            file.write_all(b":ours\n").unwrap();
            file.sync_all()
        });
        // It is linked to the old log, whose head is about to be replaced by that of another one.
        gate.wait_for(1);
        make_anew(&writer, ":new");
        gate.open();
        appending.join().unwrap().unwrap();
    });
    assert_eq!(walk(&writer), [":new", ":ours"]);
}

#[test]
fn a_handle_goes_on_behind_more_than_is_remembered() {
    let (mount, writer) = or_skip!(ground());
    let long = format!("\"{}\"\n", "x".repeat(5 << 20));
    let mut file = File::options().append(true).open(mount.file(LOG)).unwrap();
    for line in [&long, &long, ":after\n"] {
        file.write_all(line.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }
    assert_eq!(walk(&writer)[6..], [":after"]);
}

#[test]
fn lines_appended_on_two_mounts_merge() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Server::Embedded)).bucket();
    let store = Store::load("fressian-appendlog");
    store.fill(&bucket.client());
    let writer = Writer::of(&bucket.client(), &store.id);
    let each = 20;
    let mut kept = Vec::new();
    thread::scope(|scope| {
        let running = ["a", "b"].map(|name| {
            let mount = Mount::of(&bucket).store(&store.id).arg("--ttl=0").start();
            let script = format!(
                "import errno, os
def append(line):
    while True:
        f = os.open('{LOG}', os.O_WRONLY | os.O_APPEND)
        try:
            os.write(f, line)
            os.fsync(f)
            return
        except OSError as error:
            # It merges; so many tries in so little time may still be too few on a busy machine.
            assert error.errno in (errno.EAGAIN, errno.ESTALE), error
        finally:
            try:
                os.close(f)
            except OSError:
                pass
for n in range({each}):
    append(b'[:{name}   %d]\\n' % n)
"
            );
            scope.spawn(move || Script::python(&script).within(mount.path()).run().ok())
        });
        for run in running {
            run.join().unwrap();
        }
    });
    kept.extend(walk(&writer).into_iter().skip(4));
    assert_eq!(kept.len(), 2 * each, "{kept:?}");
    for name in ["a", "b"] {
        let own: Vec<_> = kept
            .iter()
            .filter(|line| line.starts_with(&format!("[:{name} ")))
            .collect();
        let line = |n| format!("[:{name} {n}]");
        let expected: Vec<_> = (0..each).map(line).collect();
        assert_eq!(
            own,
            expected.iter().collect::<Vec<_>>(),
            "in order, each once"
        );
    }
}

/// Object and body of an element, as a program writes it.
fn element(writer: &Writer, id: Uuid, next: Option<Uuid>, text: &str) {
    let element = Element {
        next,
        value: value(text),
    };
    let metadata = Metadata::new(value(":alog/log"), &Kind::AppendLog, 1);
    let stored = writer.codec.encode(&element.into_value(), None).unwrap();
    let blob = writer.blob(writer.codec, &metadata, &stored);
    let name = format!("{}_{}.ksv", writer.store, object_of(id));
    writer.bucket.put(&name, blob);
}

/// The head, as a program writes it.
fn head(writer: &Writer, head: Head) {
    let metadata = Metadata::new(value(":alog/log"), &Kind::AppendLog, 1);
    let stored = writer.codec.encode(&head.into_value(), None).unwrap();
    let blob = writer.blob(writer.codec, &metadata, &stored);
    writer.bucket.put(&writer.object(&value(":alog/log")), blob);
}

#[test]
fn an_element_that_was_linked_before_the_head_was_written_is_shown() {
    let (mount, writer) = or_skip!(ground());
    let before = writer.bucket.get(&writer.object(&value(":alog/log")));
    append(&writer, &writer.bucket, ":linked");
    let name = writer.object(&value(":alog/log"));
    writer.bucket.put(&name, before.unwrap().bytes);
    let shown = fs::read_to_string(mount.file(LOG)).unwrap();
    assert_eq!(shown, format!("{SHOWN}:linked\n"));
}

#[test]
fn a_head_that_is_not_in_the_chain_is_a_warning_and_appends_go_to_the_end_of_the_chain() {
    let (mount, writer) = or_skip!(ground());
    let read = Head::of(&writer.get(":alog/log")).unwrap();
    let lost = Uuid::new_v4();
    element(&writer, lost, None, ":lost");
    head(&writer, Head { last: lost, ..read });
    assert_eq!(fs::read_to_string(mount.file(LOG)).unwrap(), SHOWN);
    assert!(
        mount.log().contains("an element that is not in it"),
        "{}",
        mount.log()
    );
    let mut file = File::options().append(true).open(mount.file(LOG)).unwrap();
    file.write_all(b":after\n").unwrap();
    file.sync_all().unwrap();
    assert_eq!(walk(&writer)[4..], [":after"]);
    let shown = fs::read_to_string(mount.file(LOG)).unwrap();
    assert_eq!(shown, format!("{SHOWN}:after\n"));
}

#[test]
fn a_link_that_is_remembered_and_no_longer_fits_is_walked_again() {
    let (mount, writer) = or_skip!(ground());
    assert_eq!(fs::read_to_string(mount.file(LOG)).unwrap(), SHOWN);
    // Two programs append behind the same element, and the second one wins.
    let read = Head::of(&writer.get(":alog/log")).unwrap();
    append(&writer, &writer.bucket, ":first");
    assert_eq!(
        fs::read_to_string(mount.file(LOG)).unwrap(),
        format!("{SHOWN}:first\n")
    );
    let other = Uuid::new_v4();
    element(&writer, other, None, ":second");
    element(&writer, read.last, Some(other), "[4 5]");
    head(
        &writer,
        Head {
            last: other,
            ..read
        },
    );
    for _ in 0..2 {
        let shown = fs::read_to_string(mount.file(LOG)).unwrap();
        assert_eq!(shown, format!("{SHOWN}:second\n"));
    }
    assert_eq!(walk(&writer)[4..], [":second"]);
    // What it led to is gone.
    let third = Uuid::new_v4();
    element(&writer, third, None, ":third");
    element(&writer, read.last, Some(third), "[4 5]");
    head(
        &writer,
        Head {
            last: third,
            ..read
        },
    );
    writer
        .bucket
        .delete(&format!("{}_{}.ksv", writer.store, object_of(other)));
    let shown = fs::read_to_string(mount.file(LOG)).unwrap();
    assert_eq!(shown, format!("{SHOWN}:third\n"));
}

#[test]
fn a_log_of_one_element_is_not_moved_or_copied_as_if_it_were_that_element() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Server::Embedded)).bucket();
    let fixture = Store::load("fressian-appendlog");
    fixture.fill(&bucket.client());
    let mount = Mount::of(&bucket).store(&fixture.id).arg("--ttl=0").start();
    let writer = Writer::of(&bucket.client(), &fixture.id);
    let state = tempfile::tempdir().unwrap();
    writer.assoc(":edn", "{:a 1}");
    make_anew(&writer, "{:only 1}");
    let store = &fixture.id;
    for command in [
        format!("mv {LOG} :moved"),
        format!("mv -f {LOG} :edn"),
        format!("mv {LOG} moved.edn"),
        format!("etagfs mv {LOG} :moved"),
        "etagfs mv $S/:alog/log $S/:moved".to_owned(),
        "etagfs cp $S/:alog/log $S/:moved".to_owned(),
        "etagfs mv $S/:alog/log $S/:edn".to_owned(),
    ] {
        let out = crate::world::cli::script(&bucket, state.path(), &command)
            .env("S", format!("s3://{}/{store}", bucket.name))
            .within(mount.path())
            .run();
        assert_ne!(out.code, Some(0), "{command}: {out:?}");
        let told = format!("{}{}", out.stderr, mount.log());
        assert!(
            told.contains("a log cannot be moved or copied as a file"),
            "{command}: {told}"
        );
        assert_eq!(walk(&writer), ["{:only 1}"], "{command}");
        assert_eq!(writer.get(":edn"), value("{:a 1}"), "{command}");
        for name in [":moved", "\"moved.edn\""] {
            assert!(
                writer.bucket.get(&writer.object(&value(name))).is_none(),
                "{command}"
            );
        }
    }
    // Its lines are copied, and the copy is a log of its own.
    let lines = "etagfs log $S/:alog/log | etagfs append $S/:copy && mv :edn :other";
    crate::world::cli::script(&bucket, state.path(), lines)
        .env("S", format!("s3://{}/{store}", bucket.name))
        .within(mount.path())
        .run()
        .ok();
    assert!(Head::of(&writer.get(":copy")).is_some());
    assert_eq!(writer.get(":other"), value("{:a 1}"));
}

#[test]
fn a_log_that_is_moved_to_a_scratch_name_and_back_is_the_log() {
    let (mount, writer) = or_skip!(ground());
    make_anew(&writer, "{:only 1}");
    let script = format!("mv {LOG} .log.swp && mv .log.swp {LOG} && cat {LOG}");
    let out = Script::bash(&script).within(mount.path()).run().ok();
    assert_eq!(out.stdout, "{:only 1}\n");
    assert_eq!(walk(&writer), ["{:only 1}"]);
    // Not created anew: the move is taken back, or nothing was moved.
    let script = format!("mv {LOG} .log.swp; sync .");
    let _ = Script::bash(&script).within(mount.path()).run();
    mount.unmount();
    assert_eq!(walk(&writer), ["{:only 1}"]);
}

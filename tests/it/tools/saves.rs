//! What each tool saves when nobody disturbs it: the right value, the expected number of requests
//! that change something, no other key, no conflict, exit code 0. The table goes into the report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bench::{Bench, missing, said};
use crate::world::proxy::{Op, Record};
use crate::world::report;

const OLD: &str = "old\n";
const NEW: &str = "new\n";

/// A tool at work on the key `$F`.
struct Save {
    tool: &'static str,
    needs: &'static str,
    script: &'static str,
    /// The value before; none when there is no such key.
    before: Option<&'static str>,
    after: Option<&'static str>,
    /// Other keys that it makes: what follows the name, and the value.
    makes: &'static [(&'static str, &'static str)],
    puts: usize,
    deletes: usize,
    /// How often a value may come from the store; it may be asked oftener whether it still is the
    /// same.
    gets: usize,
}

/// A tool that turns `old` into `new` with one PUT.
const fn over(tool: &'static str, script: &'static str) -> Save {
    Save {
        tool,
        needs: "",
        script,
        before: Some(OLD),
        after: Some(NEW),
        makes: &[],
        puts: 1,
        deletes: 0,
        gets: 1,
    }
}

impl Save {
    const fn needs(self, needs: &'static str) -> Self {
        Self { needs, ..self }
    }

    const fn makes(self, makes: &'static [(&'static str, &'static str)]) -> Self {
        Self { makes, ..self }
    }

    const fn before(self, before: Option<&'static str>) -> Self {
        Self { before, ..self }
    }

    const fn after(self, after: Option<&'static str>) -> Self {
        Self { after, ..self }
    }

    const fn writes(self, puts: usize, deletes: usize) -> Self {
        Self {
            puts,
            deletes,
            ..self
        }
    }

    const fn gets(self, gets: usize) -> Self {
        Self { gets, ..self }
    }
}

const DIFF: &str = "--- f\\n+++ f\\n@@ -1 +1 @@\\n-old\\n+new\\n";

/// Runs the tools one after another.
#[track_caller]
fn work(heading: &str, saves: Vec<Save>) {
    let saves: Vec<_> = saves.into_iter().enumerate().collect();
    let key = |n: usize| format!("{n:02}-key");
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for (n, save) in &saves {
        if let Some(before) = save.before {
            keys.insert(key(*n), before.to_owned());
        }
    }
    let objects = keys.iter().map(|(key, text)| (&**key, &**text));
    let bench = or_skip!(Bench::new(objects));
    let mut table = format!("{heading}\n");
    let mut problems = Vec::new();
    let mut losses = 0;
    for (n, save) in saves {
        if let Some(reason) = save.needs.split_whitespace().find_map(missing) {
            crate::world::skip::note(&format!("{}: {reason}", save.tool));
            continue;
        }
        let name = key(n);
        let (done, log) = bench.requests_of(save.puts, || bench.run(&name, save.script));
        let counts = log.counts();
        let row = format!("{:<30} {:<44} {}", save.tool, counts.line(), said(&done));
        println!("{row}\n{}\n{log}", save.script);
        writeln!(table, "{}", row.trim_end()).unwrap();

        let mut wrong = |what: String| problems.push(format!("{}: {what}\n{log}", save.tool));
        if done.code != Some(0) {
            wrong(format!("{done:#?}"));
        }
        keys.remove(&key(n));
        if let Some(after) = save.after {
            keys.insert(key(n), after.to_owned());
        }
        for (ending, text) in save.makes {
            keys.insert(format!("{}{ending}", key(n)), (*text).to_owned());
        }
        let ours = |key: &String| key.split('-').next() == name.split('-').next();
        let objects = bench.bucket().keys().into_iter();
        let (own, others): (Vec<_>, Vec<_>) = objects.partition(ours);
        let there: BTreeMap<_, _> = own
            .into_iter()
            .map(|key| (key.clone(), bench.bucket().text(&key)))
            .collect();
        let expected: BTreeMap<_, _> = keys.clone().into_iter().filter(|(k, _)| ours(k)).collect();
        if there != expected {
            wrong(format!("{there:?} instead of {expected:?}"));
        }
        if others.len() + expected.len() != keys.len() {
            wrong(format!("stray keys: {others:?}"));
        }
        let written = (counts.of(Op::Put), counts.of(Op::Delete));
        let is_unlucky = |record: &Record| record.op == Op::Put && record.ends_with_a_word();
        if written != (save.puts, save.deletes) && !log.0.iter().any(is_unlucky) {
            wrong(format!("{written:?} PUT and DELETE"));
        }
        let read = log.of(Op::Get);
        if read.iter().filter(|get| get.status == Some(200)).count() > save.gets {
            wrong("too many GET".to_owned());
        }
        if bench.losses() != losses {
            losses = bench.losses();
            wrong("a conflict".to_owned());
        }
    }
    report::append_line("tools and their requests", &table);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn tools_that_edit_a_file_save_it_once() {
    let patch = format!("printf -- '{DIFF}' | patch -s $F");
    let patch_backup = format!("printf -- '{DIFF}' | patch -s -b $F");
    work(
        "editing (counts of all requests)",
        vec![
            over("sed -i", "sed -i s/old/new/ $F"),
            over("sed -i~", "sed -i~ s/old/new/ $F"),
            over("sed -i.bak", "sed -i.bak s/old/new/ $F")
                .makes(&[(".bak", OLD)])
                .writes(2, 1),
            over("perl -i", "perl -i -pe s/old/new/ $F").needs("perl"),
            over("perl -i.bak", "perl -i.bak -pe s/old/new/ $F")
                .needs("perl")
                .makes(&[(".bak", OLD)])
                .writes(2, 1),
            over("patch", patch.leak()).needs("patch").writes(2, 1).gets(2),
            over("patch -b", patch_backup.leak()).needs("patch").makes(&[(".orig", OLD)]).writes(3, 2).gets(3),
            over("ed", "printf 's/old/new/\\nw\\nq\\n' | ed -s $F").needs("ed"),
            over("sed | sponge", "sed s/old/new/ $F | sponge $F").needs("sponge"),
            over("jq > t && mv t", "jq -r .a $F > $F.t && mv $F.t $F")
                .needs("jq")
                .before(Some("{\"a\": \"new\"}\n"))
                .writes(2, 1),
            over("mktemp, sed > t, mv t", "t=$(mktemp ./tmp.XXXXXXXXXX) && sed s/old/new/ $F > $t && mv $t $F")
                .writes(3, 1),
            over("sort -o", "sort -o $F $F").before(Some("b\na\n")).after(Some("a\nb\n")),
            over("tee", "echo new | tee $F"),
            over("tee -a", "echo new | tee -a $F").after(Some("old\nnew\n")),
            over("dd conv=notrunc", "printf new | dd of=$F conv=notrunc status=none"),
            over("dd conv=fsync", "echo new | dd of=$F conv=fsync status=none"),
            over("truncate -s 2", "truncate -s 2 $F").after(Some("ol")),
            over("truncate -s 6", "truncate -s 6 $F").after(Some("old\n\0\0")),
            over("truncate -s 0", "truncate -s 0 $F").after(Some("")),
            over("echo >", "echo new > $F"),
            over("echo >>", "echo new >> $F").after(Some("old\nnew\n")),
            over("cat f > f", "sed s/old/new/ $F > $F"),
            over("python os.replace", "python3 -I -c \"import os, tempfile; f = os.environ['F']; new = open(f).read().replace('old', 'new'); t = tempfile.NamedTemporaryFile('w', dir='.', delete=False); t.write(new); t.close(); os.replace(t.name, f)\"")
                .writes(2, 1),
        ],
    );
}

#[test]
fn tools_that_copy_and_move_files_save_each_once() {
    work(
        "copying and moving",
        vec![
            over("cp over", "echo new > $D/x; cp $D/x $F"),
            over("cp to a new name", "echo new > $D/x; cp $D/x $F").before(None),
            over("cp -p over", "echo new > $D/x; cp -p $D/x $F"),
            over("cp --backup", "echo new > $D/x; cp --backup=simple $D/x $F"),
            over(
                "cp --remove-destination",
                "echo new > $D/x; cp --remove-destination $D/x $F",
            )
            .writes(1, 1),
            over("cp to outside", "cp $F $D/x; grep -q old $D/x")
                .after(Some(OLD))
                .writes(0, 0),
            over("cp within", "cp $F $F.copy")
                .after(Some(OLD))
                .makes(&[(".copy", OLD)]),
            over("install", "echo new > $D/x; install $D/x $F").writes(1, 1),
            over("install to a new name", "echo new > $D/x; install $D/x $F").before(None),
            over("install -b", "echo new > $D/x; install -b $D/x $F"),
            over("mv within, new name", "mv $F $F.moved")
                .after(None)
                .makes(&[(".moved", OLD)])
                .writes(1, 1),
            over("mv within, over", "echo new > $F.t; mv $F.t $F").writes(2, 1),
            over("mv from outside", "echo new > $D/x; mv $D/x $F").before(None),
            over("mv from outside, over", "echo new > $D/x; mv $D/x $F").writes(1, 1),
            over("mv to outside", "mv $F $D/x; grep -q old $D/x")
                .after(None)
                .writes(0, 1),
            over("rm", "rm $F").after(None).writes(0, 1),
            over(
                "gzip",
                "gzip $F; gzip -dc $F.gz > $D/x; rm $F.gz; cp $D/x $F",
            )
            .after(Some(OLD))
            .writes(2, 2),
            over(
                "gunzip",
                "gzip -c $F > $D/x.gz; cp $D/x.gz $F.gz; rm $F; gunzip $F.gz",
            )
            .after(Some(OLD))
            .writes(2, 2),
            over("gio save", "echo new | gio save $F").needs("gio"),
            over("gio save, new", "echo new | gio save $F")
                .needs("gio")
                .before(None),
            over("gio copy", "echo new > $D/x; gio copy $D/x $F").needs("gio"),
            over("rsync", "echo new > $D/x; rsync -c $D/x $F").needs("rsync"),
            over(
                "rsync --inplace",
                "echo new > $D/x; rsync -c --inplace $D/x $F",
            )
            .needs("rsync"),
            over("rsync, new", "echo new > $D/x; rsync $D/x $F")
                .needs("rsync")
                .before(None),
            over("rsync to outside", "rsync $F $D/x; grep -q old $D/x")
                .needs("rsync")
                .after(Some(OLD))
                .writes(0, 0),
        ],
    );
}

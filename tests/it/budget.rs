//! The request budget: how many requests each operation may cost, counted by the proxy. Upper bounds
//! are asserted, kind by kind; what was counted is the report `request budget`. Counts do not depend
//! on time: where the age of an answer matters, the mount believes it for long (`--ttl 600`).

use std::thread;

use crate::world::client::Client;
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount};
use crate::world::procs::Script;
use crate::world::proxy::record::Counts;
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::report;
use crate::world::servers::{self, Kind};
use crate::world::wait;

/// What an operation may cost.
type Bounds = &'static [(Op, usize)];

const LOOKUP: (Op, usize) = (Op::List, 1);
const GET: (Op, usize) = (Op::Get, 1);
const HEAD: (Op, usize) = (Op::Head, 1);
const PUT: (Op, usize) = (Op::Put, 1);
const DELETE: (Op, usize) = (Op::Delete, 1);

/// The rows of the report, and those that are over their bounds.
#[derive(Default)]
struct Table {
    rows: Vec<String>,
    over: Vec<String>,
}

impl Table {
    fn add(&mut self, what: &str, bounds: Bounds, counts: &Counts) {
        let allowed = |op| {
            let bound = bounds.iter().find(|(allowed, _)| *allowed == op);
            bound.map_or(0, |(_, count)| *count)
        };
        let texts: Vec<_> = bounds.iter().map(|(op, n)| format!("{op} {n}")).collect();
        let row = format!(
            "{what:<44} {:>5}  {:<34} at most {}",
            counts.total(),
            counts.line(),
            if texts.is_empty() {
                "0".to_owned()
            } else {
                texts.join(", ")
            }
        );
        if counts.each().any(|(op, count)| count > allowed(op)) {
            self.over.push(row.clone());
        }
        self.rows.push(row);
    }

    /// Writes the report under this heading.
    ///
    /// # Panics
    /// When a row is over its bounds.
    #[track_caller]
    fn finish(self, heading: &str) {
        let text = format!("{heading}\n{}\n", self.rows.join("\n"));
        print!("{text}");
        report::append_line("request budget", &text);
        assert!(
            self.over.is_empty(),
            "over budget:\n{}",
            self.over.join("\n")
        );
    }
}

/// A mount whose operations are counted one by one.
struct Budget {
    ground: Counted,
    table: Table,
}

impl Budget {
    fn mount(ttl: &str, options: impl FnOnce(Mount) -> Mount) -> Result<Self, String> {
        let ground = Counted::mount(|mount| options(mount).arg("--ttl").arg(ttl))?;
        Ok(Self {
            ground,
            table: Table::default(),
        })
    }

    /// Runs a script in the mount and counts its requests.
    #[track_caller]
    fn row(&mut self, what: &str, bounds: Bounds, script: &str) {
        let mark = self.ground.proxy.mark();
        self.ground.run(Script::dash(script)).ok();
        // A save at the release of a file comes after the call that caused it.
        let puts = bounds.iter().find(|(op, _)| *op == Op::Put);
        wait::until("every save was sent", wait::SOON, || {
            let sent = self.ground.proxy.since(mark).counts().of(Op::Put);
            sent >= puts.map_or(0, |(_, count)| *count)
        });
        self.ground.proxy.settle();
        let log = self.ground.proxy.since(mark);
        println!("{what}: {script}\n{log}");
        self.table.add(what, bounds, &log.counts());
    }
}

/// Stores many objects; four at a time.
fn put_all(client: &Client, keys: &[String]) {
    thread::scope(|scope| {
        for part in keys.chunks(keys.len().div_ceil(4)) {
            scope.spawn(move || {
                for key in part {
                    client.put(key, "v");
                }
            });
        }
    });
}

#[test]
fn a_mount_of_a_bucket_that_was_probed_is_one_request() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let state = tempfile::tempdir().unwrap();
    let proxy = Proxy::to(&bucket.endpoint);
    let mut table = Table::default();
    let mut mount = |what: &str, bounds, options: &dyn Fn(Mount) -> Mount| {
        let mark = proxy.mark();
        let mount = Mount::of(&bucket).through(&proxy).state_dir(state.path());
        options(mount).start().unmount();
        proxy.settle();
        table.add(what, bounds, &proxy.since(mark).counts());
    };
    let one: Bounds = &[(Op::List, 1)];
    mount("mount, read-only", one, &Mount::read_only);
    // Four of its writes have to be refused, and each is looked at (W6).
    let probe: Bounds = &[
        (Op::List, 2),
        (Op::Get, 1),
        (Op::Head, 2 + 4),
        (Op::Put, 5),
        (Op::Delete, 2),
    ];
    mount("mount, first time (with the probe)", probe, &|mount| mount);
    mount("mount, again", one, &|mount| mount);
    mount("mount, again, flat", one, &Mount::flat);
    table.finish("mounting");
    assert_eq!(bucket.client().keys(), [""; 0]);
}

#[test]
fn operations_on_single_files_stay_within_their_budget() {
    let mut budget = or_skip!(Budget::mount("600", Mount::flat));
    for key in [
        "cat", "stat", "old", "append", "edit", "mv", "rm", "over", "taken",
    ] {
        budget.ground.other.put(key, "value\n");
    }
    budget.row("cat, cold", &[LOOKUP, GET], "cat cat");
    budget.row("cat, again", &[GET], "cat cat");
    budget.row("stat, cold", &[LOOKUP], "stat stat");
    budget.row("stat, again", &[], "stat stat");
    budget.row("a name that is missing", &[LOOKUP], "! test -e missing");
    budget.row("echo > new", &[LOOKUP, PUT], "echo hi > new");
    budget.row("touch new", &[LOOKUP, PUT], "touch touched");
    // The HEAD tells what travels with it, which the new value keeps (W14).
    budget.row(
        "echo > existing, cold",
        &[LOOKUP, HEAD, PUT],
        "echo hi > old",
    );
    budget.row("echo > existing, again", &[LOOKUP, PUT], "echo ho > old");
    budget.row("echo >> existing", &[LOOKUP, GET, PUT], "echo hi >> append");
    let dd = "printf XY | dd of=edit bs=1 seek=2 conv=notrunc status=none";
    budget.row("edit in place", &[LOOKUP, GET, PUT], dd);
    // The truncating open asks whether the loss is known already (W4).
    let update: Bounds = &[LOOKUP, GET, HEAD, PUT];
    let script = "x=$(cat over); echo \"$x\" > over";
    budget.row("read, then replace", update, script);
    budget.row("touch existing", &[LOOKUP], "touch old");
    budget.row("rm", &[LOOKUP, DELETE], "rm rm");
    let to_new: Bounds = &[(Op::List, 2), GET, PUT, DELETE];
    budget.row("mv to a new name", to_new, "mv mv moved");
    // `mv` asks for the attributes of both names, and after a save of our own only the store knows the
    // time of the new version.
    let over: Bounds = &[(Op::List, 2), GET, HEAD, PUT, DELETE];
    budget.row("mv over an existing name", over, "mv moved taken");
    budget.row("mkdir", &[LOOKUP, PUT], "mkdir made");
    budget.row("rmdir", &[LOOKUP, DELETE], "rmdir made");
    budget.table.finish("single files");
}

/// Another machine is faster by a moment: one look tells whether ours happened, and who won.
#[test]
fn a_refused_write_costs_one_look() {
    let mut budget = or_skip!(Budget::mount("600", Mount::flat));
    let mut row = |what: &str, bounds: Bounds, (op, key): (Op, &str), script: &str| {
        let ground = &budget.ground;
        let gate = Gate::new();
        let held = When::op(op).key(key).once();
        ground.proxy.inject(held, Fault::HoldRequest(gate.clone()));
        let mark = ground.proxy.mark();
        thread::scope(|scope| {
            let running = scope.spawn(|| ground.run(Script::dash(script)).ok());
            gate.wait_for(1);
            ground.other.put(key, "theirs\n");
            gate.open();
            running.join().unwrap();
        });
        ground.proxy.settle();
        let log = ground.proxy.since(mark);
        println!("{what}: {script}\n{log}");
        budget.table.add(what, bounds, &log.counts());
    };
    row(
        "echo > new, refused",
        &[LOOKUP, PUT, HEAD],
        (Op::Put, "new"),
        "echo hi > new; true",
    );
    budget.ground.other.put("old", "value\n");
    row(
        "echo > existing, refused",
        &[LOOKUP, (Op::Head, 2), PUT],
        (Op::Put, "old"),
        "echo hi > old; true",
    );
    budget.ground.other.put("log", "value\n");
    row(
        "echo >> existing, merged",
        &[LOOKUP, (Op::Get, 2), (Op::Put, 2), HEAD],
        (Op::Put, "log"),
        "echo hi >> log",
    );
    row(
        "mkdir, refused",
        &[LOOKUP, PUT, HEAD],
        (Op::Put, "lock/"),
        "! mkdir lock",
    );
    budget.ground.other.put("read", "value\n");
    row(
        "rm of what was read, refused",
        &[LOOKUP, GET, DELETE, HEAD],
        (Op::Delete, "read"),
        "cat read > /dev/null; ! rm read",
    );
    budget.ground.other.put("gone", "value\n");
    // Who never read it deletes what is there now.
    row(
        "rm, saved meanwhile",
        &[LOOKUP, (Op::Delete, 2), HEAD],
        (Op::Delete, "gone"),
        "rm gone",
    );
    budget
        .table
        .finish("refused by another machine that was faster");
}

#[test]
fn strict_operations_on_single_files_stay_within_their_budget() {
    let mut budget = or_skip!(Budget::mount("0", Mount::flat));
    for key in ["cat", "old", "mv", "rm", "taken"] {
        budget.ground.other.put(key, "value\n");
    }
    budget.row("cat, cold", &[LOOKUP, GET, HEAD], "cat cat");
    budget.row("cat, again", &[LOOKUP, HEAD], "cat cat");
    budget.row("echo > new", &[LOOKUP, PUT], "echo hi > new");
    budget.row("echo > existing", &[LOOKUP, HEAD, PUT], "echo hi > old");
    budget.row("rm", &[(Op::List, 2), HEAD, DELETE], "rm rm");
    let to_new: Bounds = &[(Op::List, 2), GET, PUT, DELETE];
    budget.row("mv to a new name", to_new, "mv mv moved");
    budget.table.finish("single files, strict (--ttl 0)");
}

#[test]
fn listings_cost_one_request_for_a_thousand_names() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let names = |dir: &str, n: usize| (0..n).map(|i| format!("{dir}/{i:04}")).collect::<Vec<_>>();
    let client = bucket.client();
    put_all(&client, &names("ls", 1500));
    for dir in ["ll", "strict", "rm"] {
        put_all(&client, &names(dir, 60));
    }
    client.put("ls/sub/key", "v");
    let mount = |ttl: &'static str| Budget {
        ground: Counted::of(&bucket, |mount| mount.flat().arg("--ttl").arg(ttl)),
        table: Table::default(),
    };
    // The directory itself has to be looked up, too.
    let below: Bounds = &[(Op::List, 3)];

    let mut fresh = mount("600");
    fresh.row("ls of 1,500 keys", below, "test $(ls ls | wc -l) = 1501");
    fresh.row(
        "ls -l of them, a moment later",
        &[],
        "test $(ls -l ls | wc -l) = 1502",
    );
    fresh.row("a missing name, just listed", &[], "! test -e ls/missing");
    fresh.row("stat, just listed", &[], "stat ls/0007");
    fresh.row("cat, just listed", &[GET], "cat ls/0007");
    // The listing may be old: whether to make or to replace the file is asked once more (W1).
    fresh.row("echo > new, just listed", &[HEAD, PUT], "echo hi > ls/new");
    let rm: Bounds = &[(Op::List, 4), (Op::Delete, 60)];
    fresh.row("rm -r of 60 keys", rm, "rm -r rm");
    fresh.table.finish("listings, answers believed for long");

    let mut cold = mount("600");
    cold.row(
        "ls -l of 1,500 keys",
        below,
        "test $(ls -l ls | wc -l) = 1503",
    );
    cold.row(
        "cp -r of 60 keys to elsewhere",
        &[(Op::List, 2), (Op::Get, 60)],
        "d=$(mktemp -d) && cp -r ll $d && rm -r $d",
    );
    cold.table.finish("listings, cold");

    let mut strict = mount("0");
    // The directory is looked up twice: to see that it is one, and to open it.
    let below: Bounds = &[(Op::List, 4)];
    strict.row(
        "ls of 1,500 keys, strict",
        below,
        "test $(ls ls | wc -l) = 1502",
    );
    strict.row("ls again, strict", below, "test $(ls ls | wc -l) = 1502");
    strict.table.finish("listings, strict (--ttl 0)");
}

#[test]
fn finding_the_stores_costs_requests_in_proportion_to_the_stores() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let client = bucket.client();
    let uuid = || uuid::Uuid::new_v4().to_string();
    let plain: Vec<_> = (0..30).map(|_| uuid()).collect();
    let konserve: Vec<_> = (0..6).map(|_| uuid()).collect();
    let of_plain = |store: &String| {
        (0..100)
            .map(move |i| format!("{store}/key-{i}"))
            .collect::<Vec<_>>()
    };
    let of_konserve = |n: usize| {
        move |store: &String| {
            (0..n)
                .map(|_| format!("{store}_{}.ksv", uuid()))
                .collect::<Vec<_>>()
        }
    };
    put_all(
        &client,
        &plain.iter().flat_map(of_plain).collect::<Vec<_>>(),
    );
    let mut table = Table::default();
    let mut listed = |what: &str, more: &[String], bounds| {
        let ground = Counted::of(&bucket, |mount| mount);
        let out = ground.run(Script::dash("ls")).ok().stdout;
        let mut expected = [&plain[..], more].concat();
        expected.sort();
        assert_eq!(out.lines().collect::<Vec<_>>(), expected);
        table.add(what, bounds, &ground.counts());
    };
    listed("ls of 30 stores, 3,000 keys", &[], &[(Op::List, 1)]);
    put_all(
        &client,
        &konserve
            .iter()
            .flat_map(of_konserve(50))
            .collect::<Vec<_>>(),
    );
    listed(
        "with 6 konserve stores, 300 objects",
        &konserve,
        &[(Op::List, 7)],
    );
    put_all(
        &client,
        &konserve
            .iter()
            .flat_map(of_konserve(350))
            .collect::<Vec<_>>(),
    );
    listed(
        "with 6 konserve stores, 2,400 objects",
        &konserve,
        &[(Op::List, 7)],
    );
    table.finish("stores");

    let mut budget = Budget {
        ground: Counted::of(&bucket, |mount| mount),
        table: Table::default(),
    };
    let key = format!("{}/key-7", plain[0]);
    budget.row(
        "cat of a key of a store, cold",
        &[(Op::List, 2), GET],
        &format!("cat {key}"),
    );
    let key = format!("{}/key-7", plain[1]);
    budget.row(
        "echo > a key of a store, cold",
        &[(Op::List, 2), HEAD, PUT],
        &format!("echo > {key}"),
    );
    let key = format!("{}/new", plain[2]);
    budget.row(
        "echo > a new key of a store, cold",
        &[(Op::List, 2), PUT],
        &format!("echo > {key}"),
    );
    budget.table.finish("keys in stores");
}

/// A directory listing tells the kernel names that it then believes: an open that was not preceded
/// by a look-up must not take the answer to an earlier `stat` for its own (R1).
#[test]
fn an_open_after_a_listing_shows_the_newest_version() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=600")));
    let reader = ground.mount.path().to_owned();
    std::fs::write(reader.join("key"), "mine").unwrap();
    let looks = || {
        std::fs::metadata(reader.join("key")).unwrap();
        let listed = std::fs::read_dir(&reader).unwrap();
        listed
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect::<Vec<_>>()
    };
    assert_eq!(looks(), [4]);
    ground.other.put("key", "theirs");
    assert_eq!(
        std::fs::read_to_string(reader.join("key")).unwrap(),
        "theirs"
    );
}

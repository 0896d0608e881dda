//! Answers and listings that do not end: the memory of a mount and of a command is bounded (A4, A5), and
//! when the server is sane again, so is the mount.

use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use super::{INLINE, World, came_to, names, peak};
use crate::world::mounts::Mounted;
use crate::world::proxy::{Fault, Op, Record, When};
use crate::world::report;

/// What a mount may take more than before, in KiB. The proxy offers two GiB; a read asks several times, and
/// the longest answer that is read at all has 8 MiB.
const MORE: u64 = 96 << 10;

const REPORT: &str = "memory-under-endless-answers";

#[test]
fn the_memory_of_a_mount_survives_answers_that_do_not_end() {
    let world = or_skip!(World::new());
    let large = vec![b'x'; 3 * INLINE];
    world.put("large", large.clone());
    let list = |mount: &Mounted| names(mount).map(drop);
    let read = |mount: &Mounted| came_to(fs::read(mount.file("key"))).map(drop);
    let read_large = |mount: &Mounted| came_to(fs::read(mount.file("large"))).map(drop);
    // `fs::write` does not hear of its close.
    let saved = |mount: &Mounted, key: &str| {
        let mut file = fs::File::create(mount.file(key))?;
        file.write_all(b"mine")?;
        file.sync_all()
    };
    let save = |mount: &Mounted| came_to(saved(mount, "key"));
    let create = |mount: &Mounted| came_to(saved(mount, "new"));
    let remove = |mount: &Mounted| came_to(fs::remove_file(mount.file("key")));
    type Call<'a> = &'a dyn Fn(&Mounted) -> Result<(), Errno>;
    let is_part = |record: &Record| record.header("range").is_some();
    type Case<'a> = (&'a str, When, Fault, Call<'a>, &'a [Option<Errno>]);
    let cases: [Case<'_>; 11] = [
        (
            "LIST",
            When::op(Op::List),
            Fault::Endless,
            &list,
            &[Some(Errno::IO)],
        ),
        (
            "LIST, 500",
            When::op(Op::List),
            Fault::EndlessAnswer(500),
            &list,
            &[Some(Errno::IO), Some(Errno::TIMEDOUT)],
        ),
        (
            "LIST, 403",
            When::op(Op::List),
            Fault::EndlessAnswer(403),
            &list,
            &[Some(Errno::ACCESS)],
        ),
        (
            "GET",
            When::op(Op::Get),
            Fault::Endless,
            &read,
            &[Some(Errno::IO)],
        ),
        (
            "GET, 404",
            When::op(Op::Get),
            Fault::EndlessAnswer(404),
            &read,
            &[Some(Errno::NOENT), Some(Errno::STALE)],
        ),
        (
            "GET of a part",
            When::op(Op::Get).and(is_part),
            Fault::Endless,
            &read_large,
            &[Some(Errno::IO)],
        ),
        // It is done, and a look tells.
        ("PUT", When::op(Op::Put), Fault::Endless, &save, &[None]),
        (
            "PUT of a new key",
            When::op(Op::Put),
            Fault::Endless,
            &create,
            &[None],
        ),
        (
            "PUT, 500",
            When::op(Op::Put),
            Fault::EndlessAnswer(500),
            &save,
            &[Some(Errno::IO), Some(Errno::TIMEDOUT)],
        ),
        (
            "PUT, 412",
            When::op(Op::Put),
            Fault::EndlessAnswer(412),
            &save,
            &[Some(Errno::AGAIN), Some(Errno::IO)],
        ),
        (
            "DELETE, 500",
            When::op(Op::Delete),
            Fault::EndlessAnswer(500),
            &remove,
            &[Some(Errno::IO), Some(Errno::TIMEDOUT)],
        ),
    ];
    let mut table = String::new();
    for (label, when, fault, call, expected) in cases {
        world.put("key", "value");
        let mount = world.mount().start();
        names(&mount).unwrap();
        let before = peak(&mount);
        let struck = world.proxy.inject(when, fault);
        let came_to = call(&mount).err();
        assert!(struck.struck() > 0, "{label}");
        assert!(expected.contains(&came_to), "{label}: {came_to:?}");
        world.proxy.heal();
        let after = peak(&mount);
        let line = format!(
            "{label:<18}{before:>8} KiB before{after:>8} KiB after, {} requests, {}",
            struck.struck(),
            came_to.map_or("ok".to_owned(), |errno| errno.to_string())
        );
        println!("{line}");
        table.push_str(&line);
        table.push('\n');
        assert!(after < before + MORE, "{line}");
        // As good as new.
        assert!(names(&mount).unwrap().contains(&"large".to_owned()));
        assert!(fs::read(mount.file("large")).unwrap() == large, "{label}");
        mount.unmount();
    }
    report::write(REPORT, &table);
}

#[test]
fn the_memory_of_a_command_survives_answers_that_do_not_end() {
    let world = or_skip!(World::new());
    // The exit code and the most memory, in KiB.
    let run = |script: &str| {
        let out = world.run(&format!(
            "echo mine > in; python3 -c 'import resource, subprocess, sys
code = subprocess.run([\"bash\", \"-c\", sys.argv[1]], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' '{script}'"
        ));
        let (code, most) = out.stdout.trim().split_once(' ').unwrap();
        (
            code.parse::<i32>().unwrap(),
            most.parse::<u64>().unwrap(),
            out.stderr,
        )
    };
    for (script, ops) in [
        ("etagfs get $S/key", [Op::Get, Op::Get]),
        ("etagfs ls $S", [Op::List, Op::List]),
        ("etagfs stores ls $B", [Op::List, Op::List]),
        (
            "etagfs stores rm --recursive $B $STORE",
            [Op::List, Op::List],
        ),
        (
            "etagfs put --if-match nobody $S/key < in",
            [Op::Put, Op::Get],
        ),
    ] {
        world.put("key", "value");
        for op in ops {
            world.proxy.inject(When::op(op), Fault::Endless);
        }
        let (code, most, said) = run(script);
        world.proxy.heal();
        println!("{script}: exit {code}, {most} KiB");
        assert!(code == 1 || code == 75, "{script}: {code} {said}");
        assert!(most < 192 << 10, "{script}: {most} KiB");
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(world.other.text(&world.object("key")), "value");
    }
}

/// Listings that go on for ever: of each page, the names and what the next one is called.
fn pages(
    names: impl Fn(usize) -> Vec<String> + Send + Sync + 'static,
    next: impl Fn(usize) -> String + Send + Sync + 'static,
) -> Fault {
    let asked = AtomicUsize::new(0);
    Fault::compose(move |record| {
        let page = asked.fetch_add(1, Ordering::SeqCst);
        let prefix = record.query.iter().find(|(name, _)| name == "prefix");
        let prefix = prefix.map_or("", |(_, prefix)| prefix);
        let contents: String = names(page)
            .iter()
            .map(|name| {
                format!(
                    "<Contents><Key>{prefix}{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                     <ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>1</Size></Contents>"
                )
            })
            .collect();
        let next = next(page);
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>b</Name>\
             <IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>{contents}</ListBucketResult>"
        );
        (200, xml)
    })
}

/// A thousand names that no other page has.
fn fresh(page: usize) -> Vec<String> {
    (0..1000)
        .map(|n| format!("k{page:08}-{n:03}-{}", "x".repeat(30)))
        .collect()
}

#[test]
fn a_listing_without_end_fits_into_the_memory_that_it_may_have() {
    let world = or_skip!(World::new());
    let mut table = String::new();
    for (label, memory, most) in [("4M", 4_u64, 16), ("16M", 16, 48)] {
        let mount = world
            .mount()
            .arg("--deadline=120")
            .arg(format!("--listing-memory={label}"))
            .start();
        let before = peak(&mount);
        let endless = world
            .proxy
            .inject(When::op(Op::List), pages(fresh, |page| format!("t{page}")));
        assert_eq!(names(&mount), Err(Errno::FBIG));
        // Several at once share it.
        let mount = &mount;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || assert_eq!(names(mount), Err(Errno::FBIG)));
            }
        });
        let struck = endless.struck();
        world.proxy.heal();
        let after = peak(mount);
        let line = format!(
            "pages without end, --listing-memory {label}: {before} KiB before, {after} KiB after, {struck} pages"
        );
        println!("{line}");
        table.push_str(&line);
        table.push('\n');
        assert!(
            struck as u64 > 2 * memory && (struck as u64) < 20 * memory,
            "{line}"
        );
        assert!(after < before + (most << 10), "{line}");
        assert!(mount.log().contains("--listing-memory"), "{}", mount.log());
        assert_eq!(names(mount).unwrap(), ["key"]);
    }
    report::write("memory-under-endless-listings", &table);
    // And so do commands.
    world
        .proxy
        .inject(When::op(Op::List), pages(fresh, |page| format!("t{page}")));
    for script in [
        "etagfs ls $S",
        "etagfs stores rm --recursive $B $STORE",
        "etagfs stores copy $S $B/6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e",
    ] {
        let out = world.run(&format!(
            "export ETAGFS_DEADLINE=120 ETAGFS_LISTING_MEMORY=2M; {script}"
        ));
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
    }
    world.proxy.heal();
    assert_eq!(world.says("etagfs ls $S"), "key\n");
}

#[test]
fn a_listing_whose_pages_come_again_is_an_error_and_no_loop() {
    let world = or_skip!(World::new());
    let mount = world.mount().arg("--deadline=120").start();
    let some = |page: usize| vec![format!("k{}", page % 3)];
    let none = |_: usize| Vec::new();
    for (label, fault, most) in [
        (
            "three pages in a circle",
            pages(some, |page| format!("t{}", page % 3)),
            12,
        ),
        (
            "the same with fresh tokens",
            pages(some, |page| format!("t{page}")),
            12,
        ),
        (
            "one page, as if the token were ignored",
            pages(|_| fresh(0), |page| format!("t{page}")),
            12,
        ),
        ("the same token", pages(fresh, |_| "t".to_owned()), 12),
        (
            "empty pages, two tokens",
            pages(none, |page| format!("t{}", page % 2)),
            12,
        ),
        (
            "empty pages, fresh tokens",
            pages(none, |page| format!("t{page}")),
            1000,
        ),
    ] {
        let circle = world.proxy.inject(When::op(Op::List), fault.clone());
        assert_eq!(names(&mount), Err(Errno::IO), "{label}");
        println!("{label}: {} pages", circle.struck());
        assert!(circle.struck() <= most, "{label}: {}", circle.struck());
        world.proxy.heal();
        for script in ["etagfs ls $S", "etagfs stores rm --recursive $B $STORE"] {
            world.proxy.inject(When::op(Op::List), fault.clone());
            let out = world.run(&format!("export ETAGFS_DEADLINE=120; {script}"));
            world.proxy.heal();
            assert_eq!(out.code, Some(1), "{label}, {script}: {out:#?}");
        }
        assert_eq!(names(&mount).unwrap(), ["key"], "{label}");
    }
}

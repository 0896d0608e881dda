//! Whole directories on a mount: rsync, tar, git, and a database in a file. What comes out is what
//! went in, a second run changes nothing, and nothing is lost.

use std::fs;

use super::bench::{Bench, missing, said};
use crate::world::report;

/// Makes a tree of directories and files, with a large, an empty and an oddly named one.
const TREE: &str = "
mkdir -p $D/tree/a/b/c $D/tree/d
for i in 1 2 3 4 5 6; do echo value $i > $D/tree/a/$i; echo deep $i > $D/tree/a/b/c/$i; done
head -c 300000 /dev/urandom > $D/tree/large
: > $D/tree/d/empty
echo odd > \"$D/tree/d/odd name, %41\"
";

/// Runs a script that must succeed; its output, and the requests for the report.
#[track_caller]
fn works(bench: &Bench, key: &str, what: &str, script: &str) -> String {
    let (done, log) = bench.requests_of(0, || bench.run(key, script));
    report::append_line("trees", &format!("{what:<34} {}", log.counts().line()));
    assert_eq!(done.code, Some(0), "{what}: {done:#?}");
    done.stdout
}

#[test]
fn a_tree_that_rsync_copies_in_and_out_is_the_same_and_a_second_run_is_quiet() {
    if let Some(reason) = missing("rsync") {
        skip!("{reason}");
    }
    let bench = or_skip!(Bench::new([]));
    works(&bench, "t", "", TREE);
    let quiet = "--checksum --itemize-changes --omit-dir-times --no-times --no-perms";
    works(
        &bench,
        "t",
        "rsync -a in",
        "rsync -a $D/tree/ t/ && diff -r $D/tree t",
    );
    let again = format!("rsync -a {quiet} $D/tree/ t/");
    assert_eq!(works(&bench, "t", "rsync -a in, again", &again), "");
    works(
        &bench,
        "t",
        "rsync -a out",
        "rsync -a t/ $D/out/ && diff -r $D/tree $D/out",
    );
    let again = format!("rsync -a {quiet} t/ $D/out/");
    assert_eq!(works(&bench, "t", "rsync -a out, again", &again), "");
    let inplace =
        "echo more >> $D/tree/a/1; rsync -a -c --inplace $D/tree/ t/ && diff -r $D/tree t";
    works(&bench, "t", "rsync -a --inplace, one changed", inplace);
    let delete = "rm -r $D/tree/a/b; rsync -a --delete $D/tree/ t/ && diff -r $D/tree t";
    works(&bench, "t", "rsync -a --delete", delete);
    assert_eq!(bench.losses(), 0);
}

#[test]
fn a_tree_that_tar_unpacks_and_packs_is_the_same() {
    let bench = or_skip!(Bench::new([]));
    works(&bench, "t", "", TREE);
    let unpack = "mkdir t && tar -C $D/tree -cf - . | tar -C t -xf - && diff -r $D/tree t";
    works(&bench, "t", "tar x", unpack);
    works(
        &bench,
        "t",
        "tar x, over",
        "tar -C $D/tree -cf - . | tar -C t -xf - && diff -r $D/tree t",
    );
    let pack = "mkdir $D/out && tar -C t -cf - . | tar -C $D/out -xf - && diff -r $D/tree $D/out";
    works(&bench, "t", "tar c", pack);
    works(
        &bench,
        "t",
        "cp -a out, diff, rm -r",
        "cp -a t $D/copy && diff -r t $D/copy && rm -r t",
    );
    assert_eq!(bench.bucket().keys(), [""; 0]);
    assert_eq!(bench.losses(), 0);
}

#[test]
fn a_git_repository_works() {
    if let Some(reason) = missing("git") {
        skip!("{reason}");
    }
    let bench = or_skip!(Bench::new([]));
    let script = "
set -e
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q --template= -b main repo; cd repo
mkdir -p dir/deep; for i in 1 2 3 4 5; do echo $i > dir/deep/$i; done; echo top > top
git add .; git commit -qm first
git checkout -q -b side; echo more >> top; git commit -qam second
git rm -q dir/deep/3; git commit -qm third; test ! -e dir/deep/3
git checkout -q main; test \"$(cat top)\" = top; cat dir/deep/3
git merge -q side; git branch -d side -q; git log --oneline | wc -l
git fsck --full --strict; git status --short
git clone -q . $D/clone; diff -r --exclude=.git . $D/clone
";
    let done = bench.run("git", script);
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert_eq!(done.stdout, "3\n3\n");
    assert_eq!(bench.losses(), 0, "{}", said(&done));
    let locks: Vec<_> = bench
        .bucket()
        .keys()
        .into_iter()
        .filter(|key| key.ends_with(".lock"))
        .collect();
    assert_eq!(locks, [""; 0]);
    report::append_line(
        "trees",
        &format!(
            "git, 3 commits, merge, fsck, clone: {}",
            bench.ground.counts().line()
        ),
    );
}

/// Its index is what two machines race for.
#[test]
fn a_git_index_that_another_machine_saved_first_is_not_replaced() {
    if let Some(reason) = missing("git") {
        skip!("{reason}");
    }
    let bench = or_skip!(Bench::new([]));
    let script = "git init -q --template= repo && cd repo && echo x > a && git add a";
    let done = bench.run_into_a_late_save("git", "repo/.git/index", script);
    assert_eq!(done.code, Some(128), "{done:#?}");
    assert!(
        said(&done).contains("unable to write new index file")
            || said(&done).contains("Unable to write new index file"),
        "{done:#?}"
    );
    assert_eq!(bench.bucket().text("repo/.git/index"), super::bench::THEIRS);
    let lost = bench.conflicts("repo/.git/index");
    assert!(
        lost.iter().any(|line| line["rescue"].is_string()),
        "{lost:?}"
    );
}

#[test]
fn a_database_in_a_file_works_with_a_rollback_journal() {
    if let Some(reason) = missing("sqlite3") {
        skip!("{reason}");
    }
    let bench = or_skip!(Bench::new([]));
    let sql = "
pragma journal_mode = delete;
create table t (id integer primary key, name text, n integer);
begin;
with recursive c(x) as (select 1 union all select x + 1 from c where x < 2000)
insert into t select x, 'name ' || x, x * x from c;
commit;
create index names on t (name);
delete from t where id % 3 = 0;
update t set n = n + 1 where id % 3 = 1;
vacuum;
";
    fs::write(bench.outside("db").join("sql"), sql).unwrap();
    works(
        &bench,
        "db",
        "sqlite3, 2000 rows, index, vacuum",
        "sqlite3 -bail $F < $D/sql",
    );
    let look = "sqlite3 $F 'pragma integrity_check; select count(*), sum(n) from t;'";
    // 2000 rows without every third; the sum of their squares, and one for every third.
    let sum: u64 = (1..=2000)
        .filter(|x| x % 3 != 0)
        .map(|x| x * x + u64::from(x % 3 == 1))
        .sum();
    let found = works(&bench, "db", "sqlite3, integrity check", look);
    assert_eq!(found, format!("ok\n1334|{sum}\n"));
    assert_eq!(bench.bucket().keys(), ["db"], "no journal is left");
    assert_eq!(bench.losses(), 0);

    // Another machine replaces the database while a transaction commits.
    let insert = "sqlite3 -bail $F 'insert into t values (9999, 0, 0)'";
    let done = bench.run_into_a_late_save("db", "db", insert);
    assert_ne!(done.code, Some(0), "{done:#?}");
    assert!(said(&done).contains("disk I/O error"), "{done:#?}");
    assert_eq!(bench.bucket().text("db"), super::bench::THEIRS);
}

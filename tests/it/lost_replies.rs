//! Lost replies on a real mount (W6): a save whose answer never came is reported saved when that can be
//! proved, and else EIO, never EAGAIN; it is applied once. The rule alone is proved in
//! `conflict_model`; here it meets the kernel, the client library and three servers.

use crate::world::attempts::{attempt, create, save};
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Log, Op, Proxy, When};
use crate::world::servers::{self, Kind};
use crate::world::{rescues, wait};

struct World {
    kind: Kind,
    other: Client,
    proxy: Proxy,
    mount: Mounted,
}

impl World {
    /// With time enough for what is to succeed.
    fn on(kind: Kind) -> Result<Self, String> {
        Self::with(kind, &[])
    }

    /// For what is to fail when the time is up.
    fn hurried(kind: Kind) -> Result<Self, String> {
        Self::with(kind, &["--deadline=5"])
    }

    fn with(kind: Kind, arguments: &[&str]) -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(kind)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let mount = Mount::of(&bucket)
            .through(&proxy)
            .flat()
            .args(arguments)
            .start();
        Ok(Self {
            kind,
            other: bucket.client(),
            proxy,
            mount,
        })
    }

    #[track_caller]
    fn attempt(&self, statements: &str) -> String {
        attempt(self.mount.path(), statements)
    }

    fn rescued(&self, key: &str) -> Vec<String> {
        rescues::of_key(self.mount.state_dir(), key)
    }

    /// How often the server did what requests of this kind for the key asked.
    fn applied(&self, op: Op, key: &str) -> usize {
        let done = |status: &u16| (200..300).contains(status);
        let requests = self.proxy.log().key(key).of(op);
        requests
            .iter()
            .map(|request| {
                request
                    .upstream
                    .iter()
                    .filter(|status| done(status))
                    .count()
            })
            .sum()
    }

    fn log(&self, key: &str) -> Log {
        self.proxy.log().key(key)
    }
}

/// Runs the body on each server that etagfs may write to.
macro_rules! on_each_server {
    (|$world:ident| $body:block) => {
        on_each_server!(on, |$world| $body)
    };
    ($how:ident, |$world:ident| $body:block) => {
        for kind in Kind::CONDITIONAL {
            let $world = or_skip!(World::$how(kind));
            println!("on {:?}", $world.kind);
            $body
        }
    };
}

#[test]
fn an_update_whose_reply_was_lost_is_saved_and_applied_once() {
    on_each_server!(|world| {
        world.other.put("key", "old");
        world
            .proxy
            .inject(When::op(Op::Put).key("key").once(), Fault::LoseReply);
        assert_eq!(world.attempt(&save("key", "new")), "ok");
        assert_eq!(world.other.text("key"), "new");
        assert_eq!(world.applied(Op::Put, "key"), 1, "{}", world.log("key"));
        assert!(world.rescued("key").is_empty());
    });
}

#[test]
fn a_create_whose_reply_was_lost_is_saved_and_applied_once() {
    on_each_server!(|world| {
        world
            .proxy
            .inject(When::op(Op::Put).key("key").once(), Fault::LoseReply);
        assert_eq!(world.attempt(&create("key", "new")), "ok");
        assert_eq!(world.other.text("key"), "new");
        assert_eq!(world.log("key").of(Op::Put).len(), 1);
        assert!(world.rescued("key").is_empty());
    });
}

#[test]
fn an_update_that_changes_nothing_survives_a_lost_reply() {
    on_each_server!(|world| {
        world.other.put("key", "same");
        world
            .proxy
            .inject(When::op(Op::Put).key("key").once(), Fault::LoseReply);
        assert_eq!(world.attempt(&save("key", "same")), "ok");
        assert_eq!(world.other.text("key"), "same");
        assert_eq!(world.log("key").of(Op::Put).len(), 1);
    });
}

#[test]
fn an_update_that_was_lost_on_its_way_is_sent_again() {
    on_each_server!(|world| {
        world.other.put("key", "old");
        let lost = world
            .proxy
            .inject(When::op(Op::Put).key("key").times(2), Fault::Refuse);
        assert_eq!(world.attempt(&save("key", "new")), "ok");
        assert_eq!(lost.struck(), 2);
        assert_eq!(world.other.text("key"), "new");
        assert_eq!(world.applied(Op::Put, "key"), 1, "{}", world.log("key"));
        let ids: Vec<_> = world.log("key").of(Op::Put).iter().map(put_id).collect();
        assert!(
            ids[0].is_some() && ids.iter().all(|id| *id == ids[0]),
            "{ids:?}"
        );
    });
}

fn put_id(put: &crate::world::proxy::Record) -> Option<String> {
    let mut headers = put.headers.iter();
    let found = headers.find(|(name, _)| name.as_str().starts_with("x-amz-meta-etagfs-put"))?;
    Some(found.1.to_str().unwrap().to_owned())
}

#[test]
fn a_create_that_was_lost_on_its_way_is_never_sent_again() {
    on_each_server!(|world| {
        world
            .proxy
            .inject(When::op(Op::Put).key("key").once(), Fault::Refuse);
        assert_eq!(world.attempt(&create("key", "new")), "EIO");
        assert_eq!(world.log("key").of(Op::Put).len(), 1);
        assert_eq!(world.other.get("key"), None);
        assert_eq!(world.rescued("key"), ["new"]);
        // The name is free, and the mount knows it.
        assert_eq!(world.attempt("os.stat('key')"), "ENOENT");
        assert_eq!(world.attempt(&create("key", "again")), "ok");
        assert_eq!(world.other.text("key"), "again");
    });
}

#[test]
fn a_delete_whose_reply_was_lost_is_done_once() {
    on_each_server!(|world| {
        world.other.put("key", "old");
        world
            .proxy
            .inject(When::op(Op::Delete).key("key").once(), Fault::LoseReply);
        assert_eq!(world.attempt("os.unlink('key')"), "ok");
        assert_eq!(world.other.get("key"), None);
        assert_eq!(world.log("key").of(Op::Delete).len(), 1);
        assert_eq!(world.attempt("os.stat('key')"), "ENOENT");
    });
}

#[test]
fn a_delete_that_was_lost_on_its_way_is_sent_again() {
    on_each_server!(|world| {
        world.other.put("key", "old");
        world
            .proxy
            .inject(When::op(Op::Delete).key("key").once(), Fault::Refuse);
        assert_eq!(world.attempt("os.unlink('key')"), "ok");
        assert_eq!(world.other.get("key"), None);
        assert_eq!(world.applied(Op::Delete, "key"), 1);
    });
}

/// Saves while the mount's first put goes wrong by `fault`; somebody else overwrites before the mount
/// looks.
#[track_caller]
fn overwritten_before_the_look(world: &World, fault: Fault, statements: &str) -> String {
    let gate = Gate::new();
    let put = world
        .proxy
        .inject(When::op(Op::Put).key("key").once(), fault);
    let after = put.clone();
    world.proxy.inject(
        When::any()
            .and(|request| matches!(request.op, Op::Head | Op::Get) && request.key == "key")
            .and(move |_| after.struck() > 0)
            .once(),
        Fault::HoldRequest(gate.clone()),
    );
    std::thread::scope(|scope| {
        let saving = scope.spawn(|| world.attempt(statements));
        gate.wait_for(1);
        world.other.put("key", "theirs");
        gate.open();
        saving.join().unwrap()
    })
}

#[test]
fn a_lost_reply_and_a_foreign_save_after_it_are_an_error_that_is_not_a_conflict() {
    on_each_server!(|world| {
        world.other.put("key", "old");
        let said = overwritten_before_the_look(&world, Fault::LoseReply, &save("key", "ours"));
        assert_eq!(said, "EIO");
        assert_eq!(world.other.text("key"), "theirs");
        assert_eq!(world.rescued("key"), ["ours"]);
        assert_eq!(world.log("key").of(Op::Put).len(), 1);
        // What is there now is what a reader is shown, and what the next save replaces.
        assert_eq!(world.attempt("assert open('key').read() == 'theirs'"), "ok");
        assert_eq!(world.attempt(&save("key", "next")), "ok");
        assert_eq!(world.other.text("key"), "next");
    });
}

#[test]
fn a_lost_create_and_a_foreign_create_after_it_are_an_error_that_is_not_a_conflict() {
    on_each_server!(|world| {
        for (fault, rescues) in [(Fault::LoseReply, 1), (Fault::Refuse, 2)] {
            let said = overwritten_before_the_look(&world, fault, &create("key", "ours"));
            assert_eq!(said, "EIO");
            assert_eq!(world.other.text("key"), "theirs");
            assert_eq!(world.rescued("key"), vec!["ours"; rescues]);
            world.other.delete("key");
            world.proxy.heal();
            // The answers of the past are younger than the TTL.
            wait::until("the key is gone for the mount", wait::SOON, || {
                world.attempt("os.stat('key')") == "ENOENT"
            });
        }
    });
}

#[test]
fn a_request_lost_on_its_way_and_a_foreign_save_are_an_error_that_is_not_a_conflict() {
    on_each_server!(|world| {
        world.other.put("key", "old");
        let said = overwritten_before_the_look(&world, Fault::Refuse, &save("key", "ours"));
        assert_eq!(said, "EIO");
        assert_eq!(world.other.text("key"), "theirs");
        assert_eq!(world.rescued("key"), ["ours"]);
    });
}

#[test]
fn a_refusal_of_the_second_attempt_is_not_called_a_conflict() {
    on_each_server!(|world| {
        world.other.put("key", "old");
        let gate = Gate::new();
        world
            .proxy
            .inject(When::op(Op::Put).key("key").nth(1), Fault::Refuse);
        world.proxy.inject(
            When::op(Op::Put).key("key").nth(1),
            Fault::HoldRequest(gate.clone()),
        );
        let said = std::thread::scope(|scope| {
            let saving = scope.spawn(|| world.attempt(&save("key", "ours")));
            gate.wait_for(1);
            world.other.put("key", "theirs");
            gate.open();
            saving.join().unwrap()
        });
        assert_eq!(said, "EIO", "{}", world.log("key"));
        assert_eq!(world.other.text("key"), "theirs");
        assert_eq!(world.rescued("key"), ["ours"]);
        assert_eq!(world.applied(Op::Put, "key"), 0);
    });
}

#[test]
fn a_save_that_cannot_be_proved_is_an_error_and_its_handle_is_lost() {
    let world = or_skip!(World::hurried(Kind::Ministack));
    world.other.put("key", "old");
    world
        .proxy
        .inject(When::op(Op::Put).key("key"), Fault::LoseReply);
    let lost_looks = When::any().and(|request| matches!(request.op, Op::Head | Op::Get));
    let put = "assert attempt(lambda: os.fsync(f)) == 'EIO'";
    // It opens before the looks fail.
    let go = world.mount.state_dir().join("go");
    let script = format!(
        "import errno, os, time
def attempt(call):
    try:
        call()
        return 'ok'
    except OSError as error:
        return errno.errorcode[error.errno]
f = os.open('key', os.O_RDWR)
os.write(f, b'ours')
print('open', flush=True)
while not os.path.exists({go:?}): time.sleep(0.01)
{put}
assert attempt(lambda: os.write(f, b'more')) == 'EIO'
{put}
assert attempt(lambda: os.close(f)) == 'EIO'
"
    );
    let script = Script::python(&script).within(world.mount.path()).start();
    wait::until("the key is open", wait::SOON, || {
        script.stdout_so_far().contains("open")
    });
    world.proxy.inject(lost_looks, Fault::Refuse);
    std::fs::write(&go, "").unwrap();
    script.finish().ok();
    assert_eq!(world.rescued("key"), ["ours"]);
    assert_eq!(world.applied(Op::Put, "key"), 1, "{}", world.log("key"));
    world.proxy.heal();
    assert_eq!(world.attempt(&save("key", "next")), "ok");
    assert_eq!(world.other.text("key"), "next");
}

#[test]
fn a_rename_whose_replies_were_lost_is_done_once() {
    on_each_server!(|world| {
        world.other.put("from", "moved");
        world.other.put("to", "old");
        world
            .proxy
            .inject(When::op(Op::Put).once(), Fault::LoseReply);
        world
            .proxy
            .inject(When::op(Op::Delete).once(), Fault::LoseReply);
        assert_eq!(world.attempt("os.rename('from', 'to')"), "ok");
        assert_eq!(world.other.keys(), ["to"]);
        assert_eq!(world.other.text("to"), "moved");
        assert_eq!(world.applied(Op::Put, "to"), 1);
        assert_eq!(world.applied(Op::Delete, "from"), 1);
    });
}

#[test]
fn a_rename_that_cannot_be_proved_is_an_error_and_keeps_the_old_name() {
    on_each_server!(hurried, |world| {
        world.other.put("from", "moved");
        world.proxy.inject(When::op(Op::Put), Fault::Refuse);
        assert_eq!(world.attempt("os.rename('from', 'to')"), "EIO");
        assert_eq!(world.other.keys(), ["from"]);
        assert_eq!(world.applied(Op::Delete, "from"), 0);
        world.proxy.heal();
        assert_eq!(world.attempt("os.rename('from', 'to')"), "ok");
        assert_eq!(world.other.keys(), ["to"]);
    });
}

#[test]
fn a_mkdir_whose_reply_was_lost_has_made_the_directory() {
    on_each_server!(|world| {
        world
            .proxy
            .inject(When::op(Op::Put).key("dir/").once(), Fault::LoseReply);
        let said = world.attempt("os.mkdir('dir')");
        // SeaweedFS keeps no metadata of objects named like directories: nothing proves it there.
        let unproved = world.kind == Kind::Seaweed && said == "EIO";
        assert!(said == "ok" || unproved, "{said}");
        assert_eq!(world.other.keys(), ["dir/"]);
        assert_eq!(world.log("dir/").of(Op::Put).len(), 1);
        world
            .proxy
            .inject(When::op(Op::Put).key("lost/").once(), Fault::Refuse);
        assert_eq!(world.attempt("os.mkdir('lost')"), "EIO");
        assert_eq!(world.other.keys(), ["dir/"]);
    });
}

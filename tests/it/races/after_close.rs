//! What a program finds when it comes back to a file that it has just closed. The last close of a
//! file that was emptied or created is a save that nobody waits for (W2), and a program that goes on
//! at once must not lose a race against itself.

use crate::races::actor::Actor;
use crate::world::attempts::attempt;
use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::wait::{self, SOON};

/// Runs a script whose first PUT is held back until it has gone on as far as it gets.
#[track_caller]
fn go_on(before: Option<&str>, script: &str, saved: &str) -> Result<(), String> {
    let ground = Counted::mount(|mount| mount.flat().arg("--ttl=0"))?;
    if let Some(before) = before {
        ground.other.put("f", before.to_owned());
    }
    let gate = Gate::new();
    let put = When::op(Op::Put).key("f").once();
    ground.proxy.inject(put, Fault::HoldRequest(gate.clone()));
    let running = Script::bash(script).within(ground.mount.path()).start();
    gate.wait_for(1);
    // Whatever it does now, it does before its own close is over.
    let early = wait::eventually(std::time::Duration::from_millis(300), || running.ended());
    assert!(!early, "{script}: it did not wait for its own close");
    gate.open();
    let out = running.finish().ok();
    assert_eq!(out.stderr, "", "{script}");
    assert_eq!(out.stdout, saved, "{script}");
    assert_eq!(ground.other.text("f"), saved, "{script}");
    let log = ground.mount.log();
    assert!(!log.contains("somebody else saved first"), "{log}");
    ground.unmount();
    Ok(())
}

#[test]
fn a_program_that_goes_on_after_it_created_a_file_finds_it() {
    for script in [
        "touch f; echo a >> f; cat f",
        "touch f; echo a > f; cat f",
        ": > f; cat f; echo a >> f; cat f",
    ] {
        or_skip!(go_on(None, script, "a\n"));
    }
    or_skip!(go_on(None, "touch f; truncate -s 3 f; cat f", "\0\0\0"));
    or_skip!(go_on(None, "touch g f; mv f h; mv h f; cat f", ""));
}

#[test]
fn a_program_that_goes_on_after_it_emptied_a_file_finds_it_empty() {
    for script in [
        ": > f; cat f; echo a >> f; cat f",
        ": > f; wc -c < f | tr -d '0\\n'; echo a >> f; cat f",
        "truncate -s 0 f; echo a >> f; cat f",
    ] {
        or_skip!(go_on(Some("before"), script, "a\n"));
    }
}

/// The descriptor that created the file saves nothing but that it is there: the other one was shown
/// exactly that.
#[test]
fn two_descriptors_of_a_new_file_do_not_conflict_unless_both_write() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    let mut a = Actor::within(ground.mount.path());
    for mode in ["r+", "w"] {
        let created = a.open(mode, "x");
        let joined = a.open(mode, mode);
        a.close(created).unwrap();
        wait::until("the creation is saved", SOON, || {
            ground.other.get(mode).is_some()
        });
        a.write(joined, "value").unwrap();
        assert_eq!(a.close(joined), Ok(()));
        assert_eq!(ground.other.text(mode), "value");
    }
    let created = a.open("both", "x");
    let joined = a.open("both", "r+");
    a.write(created, "one").unwrap();
    a.write(joined, "two").unwrap();
    assert_eq!(a.close(created), Ok(()));
    assert_eq!(a.close(joined), Err("EAGAIN".to_owned()));
    assert_eq!(ground.other.text("both"), "one");
}

#[test]
fn a_directory_with_a_new_file_that_is_not_saved_yet_is_not_empty() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    let call = "os.mkdir('d')\nos.open('d/f', os.O_WRONLY | os.O_CREAT)\nos.rmdir('d')";
    assert_eq!(attempt(ground.mount.path(), call), "ENOTEMPTY");
    let call = "os.unlink('d/f')\nos.rmdir('d')";
    assert_eq!(attempt(ground.mount.path(), call), "ok");
    assert_eq!(ground.other.keys(), [""; 0]);
}

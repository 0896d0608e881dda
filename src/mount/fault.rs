//! Whether a thread waits for a page of a memory map, or inside of a call that copies (R2).
//!
//! Both have the kernel ask for pages in the same words. It knows nothing of files.

use std::fs;
use std::thread;
use std::time::Duration;

/// A thread that has just asked goes to sleep within this.
const ASLEEP: Duration = Duration::from_millis(20);
/// How often it is looked at until then.
const LOOK: Duration = Duration::from_millis(1);

/// Whether a thread sleeps outside of any system call. `None` if that cannot be seen. It may wait, as the
/// looks of `glance.rs` may.
pub(super) fn faults(id: u32) -> Option<bool> {
    let looks = ASLEEP.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        let text = fs::read_to_string(format!("/proc/{id}/syscall")).ok()?;
        if let Some(outside) = is_outside(&text) {
            return Some(outside);
        }
        thread::sleep(LOOK);
    }
    None
}

/// What proc(5) says of a thread: the number of its system call, or -1; nothing of one that runs.
fn is_outside(text: &str) -> Option<bool> {
    match text.split_ascii_whitespace().next()? {
        "running" => None,
        number => Some(number == "-1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fault_is_told_from_a_system_call_and_from_a_thread_that_runs() {
        assert_eq!(is_outside("-1 0x7ffd5f 0x4010f2\n"), Some(true));
        assert_eq!(
            is_outside("40 0x4 0x3 0x0 0x1000 0x0 0x0 0x7ff 0x7f4\n"),
            Some(false)
        );
        assert_eq!(is_outside("running\n"), None);
        assert_eq!(is_outside(""), None);
    }
}

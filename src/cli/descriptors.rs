//! Which standard descriptors were open when the program began.
//!
//! Rust's runtime opens /dev/null in place of a closed one before `main` is called. A closed input would be an empty
//! value then, and what is printed to a closed output would be lost without a word. So they are looked at
//! before that.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::fcntl_getfd;
use rustix::stdio::{stdin, stdout};

static INPUT: AtomicBool = AtomicBool::new(true);
static OUTPUT: AtomicBool = AtomicBool::new(true);

#[used]
#[expect(
    unsafe_code,
    reason = "the only way to run before the runtime; what is run is safe, and needs nothing of it"
)]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    INPUT.store(fcntl_getfd(stdin()).is_ok(), Ordering::Relaxed);
    OUTPUT.store(fcntl_getfd(stdout()).is_ok(), Ordering::Relaxed);
}

/// Whether there was a standard input.
pub(super) fn has_input() -> bool {
    INPUT.load(Ordering::Relaxed)
}

/// Whether there was a standard output.
pub(super) fn has_output() -> bool {
    OUTPUT.load(Ordering::Relaxed)
}

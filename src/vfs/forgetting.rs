//! Forgetting on request (SIGHUP): everything that was kept only to save requests.
//!
//! What is no cache stays: drafts, scratch files, who was shown what, open files and the versions they
//! read. What never changes stays too (which key an object of a konserve store has). It makes no
//! request.

use super::table::remembered::ToldOf;
use super::{Kernel, Vfs};

impl Vfs {
    /// Drops the caches, here and in the kernel. Waits for the kernel.
    pub fn drop_caches(&self) {
        let told = self.table().drop_caches();
        if let Some(kernel) = self.kernel.get() {
            forget(&**kernel, told);
        }
        self.telemetry.metrics.dropped_caches();
        tracing::info!("caches dropped");
    }
}

fn forget(kernel: &dyn Kernel, told: Vec<ToldOf>) {
    for ToldOf { ids, name } in told {
        for id in ids {
            kernel.forget_file(id);
        }
        if let Some((parent, name)) = name {
            kernel.forget_name(parent, &name);
        }
    }
}

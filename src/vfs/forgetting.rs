//! Forgetting: makes the kernel forget one file, and on request (SIGHUP) drops everything that only saves
//! requests.
//!
//! What is not a cache stays: drafts, scratch files, which process was shown what, open files and the
//! versions that they read. Facts that never change stay too (which key an object of a konserve store has).
//! It makes no request.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;

use tokio::runtime::Handle;

use super::table::remembered::ToldOf;
use super::{Kernel, Vfs};
use crate::model::Ino;

/// The kernel has forgotten what it was asked to forget.
pub type Forgotten = Pin<Box<dyn Future<Output = ()> + Send>>;

tokio::task_local! {
    /// What the kernel was asked to forget while a request was carried out.
    static ASKED: RefCell<Vec<Forgotten>>;
}

/// Carries a request out, and then waits until the kernel has forgotten what it was asked to forget
/// meanwhile: before the caller gets the result, and after every lock is free.
pub async fn after_forgetting<F: Future>(work: F) -> F::Output {
    let work = async {
        let result = work.await;
        for forgotten in ASKED.with(RefCell::take) {
            forgotten.await;
        }
        result
    };
    ASKED.scope(RefCell::default(), work).await
}

impl Vfs {
    /// Asks the kernel to drop what it remembers of a file: its attributes and its pages. Does not wait; the
    /// request waits before it is answered, see [`after_forgetting`].
    pub(super) fn forget_in_kernel(&self, ino: Ino) {
        let Some(kernel) = self.kernel.get() else {
            return;
        };
        for id in self.table().ids(ino) {
            let forgotten = kernel.forget_file(id);
            // Outside of a request, no caller could look too early.
            let _ = ASKED.try_with(|asked| asked.borrow_mut().push(forgotten));
        }
    }

    /// Drops the caches, here and in the kernel. Blocks until the kernel has.
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
    let mut forgotten = Vec::new();
    for ToldOf { ids, name } in told {
        forgotten.extend(ids.into_iter().map(|id| kernel.forget_file(id)));
        if let Some((parent, name)) = name {
            kernel.forget_name(parent, &name);
        }
    }
    Handle::current().block_on(async {
        for one in forgotten {
            one.await;
        }
    });
}

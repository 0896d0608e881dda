//! Whether the caller of a request has been answered already, by whoever guards its deadline.
//!
//! The request goes on to its end, since what it sent may land. But its program does not hear of that: it
//! was shown nothing (W1), and no conflict was reported to it (W5).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the caller of one request is gone. Clones are of the same request.
#[derive(Clone, Debug, Default)]
pub struct CallerGone(Arc<AtomicBool>);

tokio::task_local! {
    static GONE: CallerGone;
}

impl CallerGone {
    /// The caller is about to be answered without the result.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Carries the request out.
    pub async fn watched<F: Future>(self, work: F) -> F::Output {
        GONE.scope(self, work).await
    }
}

/// Whether the request that is carried out here has no caller any more.
pub(super) fn is_caller_gone() -> bool {
    GONE.try_with(|gone| gone.0.load(Ordering::Relaxed))
        .unwrap_or_default()
}

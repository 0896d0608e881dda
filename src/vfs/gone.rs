//! Whether the caller of a request was already answered, at its deadline.
//!
//! The request continues to its end, because what it sent may succeed. But its program does not learn the
//! result: it was shown nothing (W1), and no conflict was reported to it (W5).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the caller of one request is gone. Clones belong to the same request.
#[derive(Clone, Debug, Default)]
pub struct CallerGone(Arc<AtomicBool>);

tokio::task_local! {
    static GONE: CallerGone;
}

impl CallerGone {
    /// The caller is about to get an answer without the result.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Carries the request out.
    pub async fn watched<F: Future>(self, work: F) -> F::Output {
        GONE.scope(self, work).await
    }
}

/// Whether the caller of the present request is gone.
pub(super) fn is_caller_gone() -> bool {
    GONE.try_with(|gone| gone.0.load(Ordering::Relaxed))
        .unwrap_or_default()
}

//! What happened to one request on the wire: reported by the code that speaks the protocol, read by the code that
//! counts requests, without a place in the backend's own answers.
//!
//! It is found through the task that makes the request, so that it needs no place in any signature.
//! A request may be sent more than once (reads are retried inside); the last answer counts. Told by
//! `backend/s3/wire.rs` and `backend/s3/failure.rs`, read by `backend/metered.rs`.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

tokio::task_local! {
    static EXCHANGE: Arc<Exchange>;
}

/// What is known of a request's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// How often it was sent.
    pub sent: u32,
    /// The status of each answer, in order.
    pub statuses: Vec<u16>,
    /// The id that the server gave the last one.
    pub request_id: Option<String>,
    /// Why its fate is not known, in words.
    pub why: Option<String>,
    /// Why the last message got nowhere, in words.
    pub stranded: Option<String>,
}

/// A request under way.
#[derive(Debug, Default)]
pub struct Exchange {
    messages: Mutex<Messages>,
    trace_header: OnceLock<String>,
}

impl Exchange {
    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the header that hands the trace of this request on.
    pub fn set_trace_header(&self, header: String) {
        // A request is in one trace.
        let _ = self.trace_header.set(header);
    }

    /// What is known by now.
    pub fn now(&self) -> Messages {
        self.messages().clone()
    }

    /// Runs a request, and collects what happens to its messages.
    pub async fn watch<F: Future>(self: &Arc<Self>, request: F) -> F::Output {
        EXCHANGE.scope(Arc::clone(self), request).await
    }
}

fn tell(what: impl FnOnce(&mut Messages)) {
    // Nobody may be watching: a bucket that is created, a client in a test.
    let _ = EXCHANGE.try_with(|exchange| what(&mut exchange.messages()));
}

/// The header that hands the trace of the present request on, if it is to be.
pub fn trace_header() -> Option<String> {
    EXCHANGE
        .try_with(|exchange| exchange.trace_header.get().cloned())
        .ok()?
}

/// A message is about to leave.
pub fn sent() {
    tell(|messages| messages.sent += 1);
}

/// An answer arrived.
pub fn answered(status: u16, request_id: Option<&str>) {
    tell(|messages| {
        messages.statuses.push(status);
        messages.request_id = request_id.map(str::to_owned);
        messages.stranded = None;
    });
}

/// A message got nowhere: there was no connection.
pub fn stranded(why: impl Into<String>) {
    tell(|messages| messages.stranded = Some(why.into()));
}

/// Why the last message of this task's request got nowhere, if it did not.
pub fn last_stranded() -> Option<String> {
    EXCHANGE
        .try_with(|exchange| exchange.messages().stranded.clone())
        .ok()
        .flatten()
}

/// The request did not end well, and this is why.
pub fn explain(why: impl Into<String>) {
    tell(|messages| messages.why = Some(why.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_told_to_the_request_of_their_own_task() {
        let (one, two) = (Arc::<Exchange>::default(), Arc::<Exchange>::default());
        let first = one.watch(async {
            sent();
            answered(500, Some("a"));
            tokio::task::yield_now().await;
            sent();
            answered(200, None);
        });
        let second = two.watch(async {
            sent();
            stranded("refused");
            assert_eq!(last_stranded().as_deref(), Some("refused"));
            explain("lost");
        });
        tokio::join!(first, second);
        assert_eq!((one.now().sent, one.now().statuses), (2, vec![500, 200]));
        assert_eq!(one.now().request_id, None);
        assert_eq!(
            (two.now().sent, two.now().why.as_deref()),
            (1, Some("lost"))
        );
    }

    #[test]
    fn nobody_need_watch() {
        sent();
        explain("nobody hears it");
        stranded("nobody hears it");
        assert_eq!(last_stranded(), None);
    }
}

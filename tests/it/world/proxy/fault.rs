//! What can go wrong, and with which requests. Pure bookkeeping: [`super::serve`] does it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use hyper::http::response::Parts;
use tokio::sync::watch;

use super::record::{Op, Record};
use crate::world::wait;

type Predicate = Arc<dyn Fn(&Record) -> bool + Send + Sync>;

/// Which requests a fault strikes: all that fit, unless narrowed.
#[derive(Clone)]
pub(crate) struct When {
    fits: Predicate,
    skip: usize,
    times: usize,
}

impl When {
    /// Every request.
    pub(crate) fn any() -> Self {
        Self {
            fits: Arc::new(|_| true),
            skip: 0,
            times: usize::MAX,
        }
    }

    /// Requests of this kind.
    pub(crate) fn op(op: Op) -> Self {
        Self::any().and(move |record| record.op == op)
    }

    /// Every put and delete of an object.
    pub(crate) fn write() -> Self {
        Self::any().and(|record| matches!(record.op, Op::Put | Op::Delete))
    }

    /// Only for this key.
    pub(crate) fn key(self, key: &str) -> Self {
        let key = key.to_owned();
        self.and(move |record| record.key == key)
    }

    /// Only those that fit this too.
    pub(crate) fn and(self, also: impl Fn(&Record) -> bool + Send + Sync + 'static) -> Self {
        let fits = self.fits;
        Self {
            fits: Arc::new(move |record| fits(record) && also(record)),
            ..self
        }
    }

    /// Only the first of them.
    pub(crate) fn once(self) -> Self {
        self.times(1)
    }

    /// Only so many of them.
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Only the nth of them, counted from 1.
    pub(crate) fn nth(self, nth: usize) -> Self {
        Self {
            skip: nth - 1,
            times: 1,
            ..self
        }
    }

    /// Not the first so many of them.
    pub(crate) fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }
}

/// A change of the server's reply.
pub(crate) type Edit = Arc<dyn Fn(&mut Parts, &mut Bytes) + Send + Sync>;

/// What goes wrong.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The server is not asked; the client gets this status with an S3 error of this code.
    Answer(u16, &'static str),
    /// The server is not asked; the client gets this status and a page for people, as from a router, a gateway or
    /// a portal that knows nothing of S3. To a HEAD the page is not sent.
    Page(u16),
    /// The server is not asked; the client gets these bytes on the wire, and the end.
    Raw(Bytes),
    /// The server is not asked; the connection closes without an answer.
    Refuse,
    /// The server is not asked, there is no answer; when the gate opens the connection closes.
    BlackHole(Gate),
    /// The server is asked only when the gate is open.
    HoldRequest(Gate),
    /// The server is asked at once; its reply is passed on only when the gate is open.
    HoldReply(Gate),
    /// The server is asked, and does it; the connection closes without an answer.
    LoseReply,
    /// The server is asked twice; the client gets the second reply, as from a proxy that lost the first
    /// one and sent the request again.
    ForwardTwice,
    /// The server is asked, and the client gets the reply; when the gate opens the server is asked again.
    ForwardAgain(Gate),
    /// The true head, half of the body, and the end.
    CutBody,
    /// The whole reply, with a Content-Length this much off, and the end.
    WrongLength(isize),
    /// The true status and headers, and a body that is no XML and no text, of the same length.
    GarbageBody,
    /// The reply, changed.
    Edit(Edit),
    /// The reply, with another framing than by its length, and the end of the connection.
    Framed(Framing),
    /// The server is asked, and the client gets its head; the body goes on until the client hangs up.
    Endless,
    /// The server is not asked; the client gets this status, and a body that goes on until it hangs up.
    EndlessAnswer(u16),
    /// The server is not asked; the client gets the status and the XML that is composed for it.
    Compose(Compose),
    /// The server is not asked; the client is sent to the same address of another server (this URL), as
    /// by S3 to the buckets of the last hours.
    Redirect(u16, String),
    /// The server is asked for another path: one that begins with the second, not with the first.
    Elsewhere(String, String),
}

/// How a body tells where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// In chunks, without a Content-Length; a HEAD has neither.
    Chunked,
    /// The same, but the last chunk is missing, and half of the body.
    ChunkedAndCut,
    /// In chunks, and with a Content-Length.
    Both,
    /// Not at all: with its connection.
    None,
    /// The same, half-way.
    NoneAndCut,
}

/// An answer, made of what is asked.
pub(crate) type Compose = Arc<dyn Fn(&Record) -> (u16, String) + Send + Sync>;

impl Fault {
    /// 500 InternalError.
    pub(crate) fn internal_error() -> Self {
        Self::Answer(500, "InternalError")
    }

    /// 503 SlowDown.
    pub(crate) fn slow_down() -> Self {
        Self::Answer(503, "SlowDown")
    }

    /// 403 AccessDenied.
    pub(crate) fn access_denied() -> Self {
        Self::Answer(403, "AccessDenied")
    }

    /// An answer that is no HTTP.
    pub(crate) fn garbage() -> Self {
        Self::Raw(Bytes::from_static(
            b"\x00\xff\x13 this is not HTTP\r\n\r\n\x00",
        ))
    }

    /// Answers that are made of what is asked, without asking the server.
    pub(crate) fn compose(
        compose: impl Fn(&Record) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        Self::Compose(Arc::new(compose))
    }

    /// A changed reply: `Fault::edit(|head, _body| { head.headers.remove("etag"); })`.
    pub(crate) fn edit(edit: impl Fn(&mut Parts, &mut Bytes) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(status, code) => write!(f, "answered {status} {code}"),
            Self::Page(status) => write!(f, "a page with {status}"),
            Self::Raw(_) => f.write_str("raw answer"),
            Self::Refuse => f.write_str("refused"),
            Self::BlackHole(_) => f.write_str("black hole"),
            Self::HoldRequest(_) => f.write_str("request held"),
            Self::HoldReply(_) => f.write_str("reply held"),
            Self::LoseReply => f.write_str("reply lost"),
            Self::ForwardTwice => f.write_str("forwarded twice"),
            Self::ForwardAgain(_) => f.write_str("forwarded again, late"),
            Self::CutBody => f.write_str("body cut"),
            Self::WrongLength(off) => write!(f, "length off by {off}"),
            Self::GarbageBody => f.write_str("garbage body"),
            Self::Edit(_) => f.write_str("reply edited"),
            Self::Framed(framing) => write!(f, "framing {framing:?}"),
            Self::Endless => f.write_str("endless body"),
            Self::EndlessAnswer(status) => write!(f, "endless body with {status}"),
            Self::Compose(_) => f.write_str("composed"),
            Self::Redirect(status, url) => write!(f, "sent to {url} by {status}"),
            Self::Elsewhere(from, to) => write!(f, "asked for {to} in the place of {from}"),
        }
    }
}

/// Holds requests until it is opened; open for ever after. Clones are the same gate.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    open: watch::Sender<bool>,
    arrived: AtomicUsize,
}

impl Gate {
    /// A closed gate.
    pub(crate) fn new() -> Self {
        Self(Arc::new(GateState {
            open: watch::Sender::new(false),
            arrived: AtomicUsize::new(0),
        }))
    }

    /// How many requests have come to it, waiting or passed on.
    pub(crate) fn arrived(&self) -> usize {
        self.0.arrived.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come to it.
    #[track_caller]
    pub(crate) fn wait_for(&self, requests: usize) {
        wait::until("requests come to the gate", wait::SOON, || {
            self.arrived() >= requests
        });
    }

    /// Lets all pass.
    pub(crate) fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Waits for the opening.
    pub(super) async fn pass(&self) {
        self.0.arrived.fetch_add(1, Ordering::SeqCst);
        let mut watching = self.0.open.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = watching.wait_for(|open| *open).await;
    }
}

/// A fault with its predicate and its counts.
pub(super) struct Rule {
    when: When,
    fault: Fault,
    fitted: AtomicUsize,
    struck: AtomicUsize,
    removed: AtomicBool,
}

impl Rule {
    pub(super) fn new(when: When, fault: Fault) -> Self {
        Self {
            when,
            fault,
            fitted: AtomicUsize::new(0),
            struck: AtomicUsize::new(0),
            removed: AtomicBool::new(false),
        }
    }

    /// The fault, if it is to strike this request. Callers hold the lock of the rules, so counting is
    /// not a race.
    pub(super) fn claim(&self, record: &Record) -> Option<Fault> {
        if self.removed.load(Ordering::SeqCst) || !(self.when.fits)(record) {
            return None;
        }
        let earlier = self.fitted.fetch_add(1, Ordering::SeqCst);
        if earlier < self.when.skip || self.struck.load(Ordering::SeqCst) >= self.when.times {
            return None;
        }
        self.struck.fetch_add(1, Ordering::SeqCst);
        Some(self.fault.clone())
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {} times so far",
            self.fault,
            self.struck.load(Ordering::SeqCst)
        )
    }
}

/// An injected fault; it stays when this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Injected(pub(super) Arc<Rule>);

impl Injected {
    /// How many requests it has struck.
    pub(crate) fn struck(&self) -> usize {
        self.0.struck.load(Ordering::SeqCst)
    }

    /// Waits until it has struck so many.
    #[track_caller]
    pub(crate) fn wait_for(&self, requests: usize) {
        wait::until("the fault strikes", wait::SOON, || {
            self.struck() >= requests
        });
    }

    /// Strikes no more.
    pub(crate) fn remove(&self) {
        self.0.removed.store(true, Ordering::SeqCst);
    }
}

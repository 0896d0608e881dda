//! A backend that fails on demand, for tests of everything above it.
//!
//! It wraps any backend, counts the calls, and makes chosen ones fare badly: an answer lost after
//! the write happened, an answer lost before, an error, a refusal, a wait. It knows nothing of
//! why. Nothing but tests uses it; it is public because they live outside of the crate.
//!
//! ```
//! # use std::sync::Arc;
//! use etagfs::backend::fault::{Fault, Faulty, Op};
//! use etagfs::backend::Memory;
//!
//! let backend = Faulty::new(Arc::new(Memory::new()));
//! backend.next(Op::Put, Fault::LoseReply);
//! // The next put happens, and its caller hears `Outcome::Unknown`.
//! assert_eq!(backend.calls(Op::Put), 0);
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    Backend, Body, ByteRange, Error, Fetched, Grant, Habits, Limits, ListQuery, ObjectKey,
    ObjectMeta, ObjectVersion, Page, ReadCondition, Signed,
};
use crate::model::{Outcome, Precondition, PutId, Server, Version};

/// The calls of a [`Backend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`Backend::get`]
    Get,
    /// [`Backend::head`]
    Head,
    /// [`Backend::put`]
    Put,
    /// [`Backend::delete`]
    Delete,
    /// [`Backend::list`]
    List,
}

/// How a call fares.
#[derive(Clone)]
pub enum Fault {
    /// It is carried out, and the answer lost: a write is [`Outcome::Unknown`], a read
    /// [`Error::Unreachable`].
    LoseReply,
    /// It is not carried out; the caller hears the same as for a lost reply.
    LoseRequest,
    /// A write is not carried out and called refused. Reads are not affected.
    Refuse,
    /// A write is carried out twice, and the caller hears the second answer; so does something in
    /// between that sends a request again. Reads are not affected.
    Twice,
    /// It is not carried out; the caller gets this error. See [`Fault::fail`].
    Fail(Arc<dyn Fn() -> Error + Send + Sync>),
    /// It is carried out after this time.
    Delay(Duration),
    /// It is carried out when the gate opens.
    HoldRequest(Gate),
    /// It is carried out at once, and the answer comes when the gate opens.
    HoldReply(Gate),
}

impl Fault {
    /// The call fails with what this makes.
    pub fn fail(error: impl Fn() -> Error + Send + Sync + 'static) -> Self {
        Self::Fail(Arc::new(error))
    }

    /// The store cannot be reached, or asks for less load: nothing happened.
    pub fn unreachable() -> Self {
        Self::fail(|| Error::Unreachable {
            what: "the store".to_owned(),
            why: "scripted".into(),
        })
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoseReply => "LoseReply",
            Self::LoseRequest => "LoseRequest",
            Self::Refuse => "Refuse",
            Self::Twice => "Twice",
            Self::Fail(_) => "Fail",
            Self::Delay(_) => "Delay",
            Self::HoldRequest(_) => "HoldRequest",
            Self::HoldReply(_) => "HoldReply",
        })
    }
}

/// A place where calls wait until it is opened. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    arrived: usize,
    is_open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    /// Lets everybody pass from now on.
    pub fn open(&self) {
        self.0.send_modify(|state| state.is_open = true);
    }

    /// Waits until this many calls have reached the gate; it does not open for them.
    pub async fn arrived(&self, calls: usize) {
        // The sender is ours, so the channel cannot be closed.
        let _ = self
            .0
            .subscribe()
            .wait_for(|state| state.arrived >= calls)
            .await;
    }

    /// How many calls have come to the gate so far.
    pub fn arrivals(&self) -> usize {
        self.0.borrow().arrived
    }

    async fn pass(&self) {
        self.0.send_modify(|state| state.arrived += 1);
        // As above.
        let _ = self.0.subscribe().wait_for(|state| state.is_open).await;
    }
}

/// A backend that fails on demand. Without a script it only counts.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Backend>,
    scripts: Mutex<HashMap<Op, Script>>,
}

/// What awaits the calls of one kind.
#[derive(Debug, Default)]
struct Script {
    calls: usize,
    /// By the number of the call, from 1.
    faults: BTreeMap<usize, Fault>,
    others: Option<Fault>,
}

impl Faulty {
    /// Wraps a backend.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self {
            inner,
            scripts: Mutex::default(),
        }
    }

    /// The next call of this kind that nothing awaits yet fares like this.
    pub fn next(&self, op: Op, fault: Fault) {
        let mut scripts = self.scripts();
        let script = scripts.entry(op).or_default();
        let mut call = script.calls + 1;
        while script.faults.contains_key(&call) {
            call += 1;
        }
        script.faults.insert(call, fault);
    }

    /// The `n`-th call of this kind from now (1 is the next) fares like this.
    pub fn nth(&self, op: Op, n: usize, fault: Fault) {
        let mut scripts = self.scripts();
        let script = scripts.entry(op).or_default();
        script.faults.insert(script.calls + n, fault);
    }

    /// Every call of this kind that nothing else awaits fares like this.
    pub fn every(&self, op: Op, fault: Fault) {
        self.scripts().entry(op).or_default().others = Some(fault);
    }

    /// Nothing awaits any call any more.
    pub fn heal(&self) {
        for script in self.scripts().values_mut() {
            script.faults.clear();
            script.others = None;
        }
    }

    /// How many calls of this kind there were.
    pub fn calls(&self, op: Op) -> usize {
        self.scripts().get(&op).map_or(0, |script| script.calls)
    }

    fn scripts(&self) -> MutexGuard<'_, HashMap<Op, Script>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, op: Op) -> Option<Fault> {
        let mut scripts = self.scripts();
        let script = scripts.entry(op).or_default();
        script.calls += 1;
        script
            .faults
            .remove(&script.calls)
            .or_else(|| script.others.clone())
    }

    fn lost(&self) -> Error {
        Error::Unreachable {
            what: self.inner.name().to_owned(),
            why: "the answer was lost, as scripted".into(),
        }
    }

    async fn read<T>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        match self.fault(op) {
            None | Some(Fault::Refuse | Fault::Twice) => call.await,
            Some(Fault::LoseReply) => {
                let _ = call.await;
                Err(self.lost())
            }
            Some(Fault::LoseRequest) => Err(self.lost()),
            Some(fault) => wait_or_fail(fault, call).await,
        }
    }

    async fn write<T, C>(&self, op: Op, call: impl Fn() -> C + Send) -> Result<Outcome<T>, Error>
    where
        C: Future<Output = Result<Outcome<T>, Error>> + Send,
    {
        match self.fault(op) {
            None => call().await,
            Some(Fault::Refuse) => Ok(Outcome::Refused(None)),
            Some(Fault::Twice) => {
                let _ = call().await;
                call().await
            }
            Some(Fault::LoseReply) => call().await.map(|_| Outcome::Unknown),
            Some(Fault::LoseRequest) => Ok(Outcome::Unknown),
            Some(fault) => wait_or_fail(fault, call()).await,
        }
    }
}

/// The faults that are the same for reads and writes.
async fn wait_or_fail<T>(
    fault: Fault,
    call: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    match fault {
        Fault::Fail(error) => return Err(error()),
        Fault::Delay(time) => tokio::time::sleep(time).await,
        Fault::HoldRequest(gate) => gate.pass().await,
        Fault::HoldReply(gate) => {
            let answer = call.await;
            gate.pass().await;
            return answer;
        }
        Fault::LoseReply | Fault::LoseRequest | Fault::Refuse | Fault::Twice => {}
    }
    call.await
}

#[async_trait]
impl Backend for Faulty {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn server(&self) -> &Server {
        self.inner.server()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn habits(&self) -> Option<&Habits> {
        self.inner.habits()
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        self.read(Op::Get, self.inner.get(at, pin, span)).await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        self.read(Op::Head, self.inner.head(at)).await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let call = || self.inner.put(at, body.clone(), expect, id);
        self.write(Op::Put, call).await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let call = || self.inner.delete(at, version);
        self.write(Op::Delete, call).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        self.read(Op::List, self.inner.list(query)).await
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        self.read(Op::List, self.inner.versions(at)).await
    }

    async fn tags(&self, at: &ObjectKey) -> Result<String, Error> {
        self.read(Op::Head, self.inner.tags(at)).await
    }

    async fn presign(
        &self,
        at: &ObjectKey,
        grant: &Grant,
        expires: Duration,
    ) -> Result<Signed, Error> {
        self.inner.presign(at, grant, expires).await
    }
}

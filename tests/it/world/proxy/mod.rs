//! An HTTP/1.1 proxy between a mount (or any S3 client) and a server: it remembers every request and
//! breaks those it is told to. The Host header goes on unchanged, since the client has signed it.
//! What a request is: [`record`]; what can go wrong: [`fault`]; servers that are otherwise: [`habit`]; how it is done: [`serve`],
//! and [`odd`] for what no HTTP library would send; a world in which only conditional writes are let pass: [`policy`].
//!
//! ```ignore
//! let proxy = Proxy::to(&bucket.endpoint);
//! let mount = Mount::of(&bucket).through(&proxy).start();
//! let mark = proxy.mark();
//! fs::write(mount.file("key"), "v").unwrap();
//! assert_eq!(proxy.since(mark).counts().of(Op::Put), 1);
//! assert_eq!(proxy.since(mark).of(Op::Put)[0].body(), "v");
//!
//! // The put lands, its reply does not arrive:
//! let lost = proxy.inject(When::op(Op::Put).key("key").once(), Fault::LoseReply);
//! // Every listing is throttled, until told otherwise:
//! let slow = proxy.inject(When::op(Op::List), Fault::slow_down());
//! slow.remove();
//! // Two writers, in a chosen order, without a sleep:
//! let gate = Gate::new();
//! proxy.inject(When::op(Op::Put).once(), Fault::HoldRequest(gate.clone()));
//! ...; gate.wait_for(1); other.put("key", "theirs"); gate.open();
//! proxy.down(); ...; proxy.up();                       // connection refused
//! ```

pub(crate) mod fault;
pub(crate) mod habit;
mod odd;
pub(crate) mod policy;
pub(crate) mod record;
mod serve;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use hyper::Uri;
use tokio::sync::watch;

pub(crate) use fault::{Fault, Framing, Gate, Injected, When};
pub(crate) use record::{Log, Op, Record};

use super::port::Port;
use super::wait;

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

/// What the handle and the serving thread share.
#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    log: Mutex<Vec<Record>>,
    rules: Mutex<Vec<Arc<fault::Rule>>>,
    policy: Option<policy::World>,
    /// The path below which the server seems to be.
    base: String,
}

impl Shared {
    /// Notes an arrived request; its place.
    fn note(&self, record: Record) -> usize {
        let mut log = self.log.lock().unwrap();
        log.push(record);
        log.len() - 1
    }

    /// Takes the path away below which the server seems to be; whether it was there.
    fn below(&self, uri: &mut Uri) -> bool {
        let asked = uri.path_and_query().map_or("/", |asked| asked.as_str());
        let below = asked.strip_prefix(&*self.base);
        match below.filter(|below| below.starts_with('/')) {
            Some(below) => {
                *uri = below.parse().expect("the rest of a path is one");
                true
            }
            None => false,
        }
    }

    fn amend(&self, place: usize, change: impl FnOnce(&mut Record)) {
        change(&mut self.log.lock().unwrap()[place]);
    }

    /// What is to go wrong with this request: the oldest rule that wants it decides.
    fn fault_for(&self, record: &Record) -> Option<Fault> {
        if let Some(world) = &self.policy
            && !world.admits(record)
        {
            return Some(Fault::access_denied());
        }
        let rules = self.rules.lock().unwrap();
        rules.iter().find_map(|rule| rule.claim(record))
    }
}

/// Whether the proxy listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
}

/// A running proxy on a loopback port of its own; it ends on drop.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Also while it does not listen.
    port: Port,
    shared: Arc<Shared>,
    /// `None` only in drop.
    door: Option<watch::Sender<Door>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy to the server at `http://HOST:PORT`.
    pub(crate) fn to(endpoint: &str) -> Self {
        Self::below("", endpoint)
    }

    /// The same, as a gateway that serves S3 below this path and nothing elsewhere. The server must not
    /// check signatures.
    pub(crate) fn below(base: &str, endpoint: &str) -> Self {
        let upstream = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let shared = Arc::new(Shared {
            upstream: upstream
                .parse()
                .expect("the upstream is an address and a port"),
            log: Mutex::default(),
            rules: Mutex::default(),
            policy: policy::World::of_this_run(),
            base: base.to_owned(),
        });
        let port = Port::new();
        let listener = port.listen();
        let (door, watching) = watch::channel(Door::Open);
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || serve::run(listener, &serving, watching))
            .unwrap();
        Self {
            port,
            shared,
            door: Some(door),
            thread: Some(thread),
        }
    }

    /// The proxy's URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}{}", self.port.address(), self.shared.base)
    }

    /// All requests so far, in the order of their arrival.
    pub(crate) fn log(&self) -> Log {
        self.since(Mark(0))
    }

    /// The present end of the log.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.shared.log.lock().unwrap().len())
    }

    /// The requests that arrived after the mark.
    pub(crate) fn since(&self, mark: Mark) -> Log {
        Log(self.shared.log.lock().unwrap()[mark.0..].to_vec())
    }

    /// Makes the requests that `when` describes go wrong. Of several rules that describe a request
    /// the one injected first decides.
    pub(crate) fn inject(&self, when: When, fault: Fault) -> Injected {
        let rule = Arc::new(fault::Rule::new(when, fault));
        self.shared.rules.lock().unwrap().push(Arc::clone(&rule));
        Injected(rule)
    }

    /// A bucket policy that demands conditions, see [`policy`].
    pub(crate) fn require_conditions(&self) -> Injected {
        let unconditional = When::any().and(policy::is_unconditional);
        self.inject(unconditional, Fault::access_denied())
    }

    /// Forgets all injected faults. What is held or in a black hole stays there.
    pub(crate) fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Waits until no request is under way (held ones and those in a black hole are).
    pub(crate) fn settle(&self) {
        wait::until("no request is under way in the proxy", wait::SOON, || {
            self.shared
                .log
                .lock()
                .unwrap()
                .iter()
                .all(|record| record.done)
        });
    }

    /// Stops listening and drops all connections: connection refused.
    pub(crate) fn down(&self) {
        self.turn(Door::Closed);
    }

    /// Listens again, on the same port.
    pub(crate) fn up(&self) {
        self.turn(Door::Open);
    }

    fn turn(&self, door: Door) {
        if let Some(sender) = &self.door {
            sender.send(door).expect("the proxy's thread runs");
        }
        wait::until(&format!("the proxy's door is {door:?}"), wait::SOON, || {
            let open = std::net::TcpStream::connect(self.port.address()).is_ok();
            open == (door == Door::Open)
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.door.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the proxy's thread did not panic");
            }
        }
    }
}

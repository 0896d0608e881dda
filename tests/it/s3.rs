//! The S3 backend when things go wrong between it and the server: what it calls a lost reply, a
//! throttle, a refusal and a damaged answer. What it does when all is well is the contract's.

mod listings;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etagfs::backend::s3::{Credentials, S3Config};
use etagfs::backend::{
    Backend, Body, ByteRange, Deadlines, Error, Fetched, Meta, ObjectKey, ReadCondition, S3,
    Settled,
};
use etagfs::model::{Outcome, Precondition, PutId, Version};
use tokio::runtime::Runtime;

use crate::contract::config;
use crate::world::client::Client;
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::servers::{self, Kind};

/// The backend, a proxy that breaks things, and our own server behind it.
struct Rig {
    runtime: Runtime,
    proxy: Proxy,
    other: Client,
    s3: Arc<S3>,
    settled: Settled,
}

fn at() -> ObjectKey {
    ObjectKey::new("key")
}

fn body(text: &str) -> Body {
    Body {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        meta: Meta::default(),
    }
}

fn is(etag: &str) -> Precondition {
    Precondition::Is(Version::new(etag))
}

const ALL: ByteRange = ByteRange::UpTo(1 << 20);

impl Rig {
    fn new() -> Result<Self, String> {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut S3Config)) -> Result<Self, String> {
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let mut config = config(&bucket);
        config.endpoint_url = Some(proxy.endpoint());
        config.read_attempts = 3;
        change(&mut config);
        let deadlines = config.deadlines;
        let runtime = Runtime::new().unwrap();
        let s3 = Arc::new(runtime.block_on(S3::connect(config)).unwrap());
        Ok(Self {
            settled: Settled::new(s3.clone(), deadlines),
            other: bucket.client(),
            runtime,
            proxy,
            s3,
        })
    }

    fn put_through(
        &self,
        backend: &dyn Backend,
        text: &str,
        expect: &Precondition,
    ) -> Result<Outcome, Error> {
        let id = PutId::new(uuid::Uuid::new_v4().as_u128());
        self.runtime
            .block_on(backend.put(&at(), body(text), expect, id))
    }

    /// One attempt.
    fn put(&self, text: &str, expect: &Precondition) -> Result<Outcome, Error> {
        self.put_through(self.s3.as_ref(), text, expect)
    }

    fn get(&self, pin: &ReadCondition, span: ByteRange) -> Result<Bytes, Error> {
        match self.runtime.block_on(self.s3.get(&at(), pin, span))? {
            Fetched::Object(object) => Ok(object.bytes),
            Fetched::Unchanged => panic!("unchanged"),
        }
    }

    fn puts(&self) -> usize {
        self.proxy.log().counts().of(Op::Put)
    }
}

#[test]
fn a_put_whose_reply_is_lost_is_unknown_and_sent_once() {
    let rig = or_skip!(Rig::new());
    let base = rig.other.put("key", "old");
    rig.proxy.inject(When::op(Op::Put), Fault::LoseReply);
    assert_eq!(rig.put("new", &is(&base)).unwrap(), Outcome::Unknown);
    assert_eq!(rig.puts(), 1);
    assert_eq!(rig.other.text("key"), "new");
}

#[test]
fn a_settled_put_whose_reply_is_lost_is_saved_once() {
    let rig = or_skip!(Rig::new());
    let base = rig.other.put("key", "old");
    rig.proxy.inject(When::op(Op::Put).once(), Fault::LoseReply);
    let outcome = rig.put_through(&rig.settled, "new", &is(&base)).unwrap();
    let now = rig.other.head("key").unwrap().etag;
    assert_eq!(outcome, Outcome::Committed(Version::new(now)));
    let counts = rig.proxy.log().counts();
    assert_eq!((counts.of(Op::Put), counts.of(Op::Head)), (1, 1));
}

#[test]
fn a_settled_put_that_was_throttled_is_saved() {
    let rig = or_skip!(Rig::new());
    rig.proxy
        .inject(When::op(Op::Put).times(2), Fault::slow_down());
    let outcome = rig.put_through(&rig.settled, "new", &Precondition::Absent);
    assert!(matches!(outcome.unwrap(), Outcome::Committed(_)));
    let counts = rig.proxy.log().counts();
    assert_eq!((counts.of(Op::Put), counts.of(Op::Head)), (3, 0));
}

#[test]
fn what_a_failed_put_means_is_told_by_the_answer() {
    let rig = or_skip!(Rig::new());
    let unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\n\
                       Content-Length: 13\r\n\r\n<html></html>";
    let cases = [
        (Fault::slow_down(), "Unreachable"),
        (Fault::Answer(400, "RequestTimeout"), "Unreachable"),
        (Fault::internal_error(), "Unknown"),
        (
            Fault::Raw(Bytes::from_static(unavailable.as_bytes())),
            "Unknown",
        ),
        (Fault::Refuse, "Unknown"),
        (Fault::garbage(), "Unknown"),
        (Fault::Answer(412, "PreconditionFailed"), "Refused"),
        (Fault::Answer(409, "ConditionalRequestConflict"), "Collided"),
        (Fault::Answer(404, "NoSuchKey"), "Refused"),
        (Fault::Answer(404, "NoSuchBucket"), "NotFound"),
        (no_route(), "Failed"),
        (Fault::access_denied(), "Denied"),
        (Fault::Answer(400, "ExpiredToken"), "Denied"),
        (Fault::Answer(400, "EntityTooLarge"), "TooBig"),
        (Fault::Answer(501, "NotImplemented"), "Failed"),
        (Fault::Answer(400, "InvalidArgument"), "Failed"),
    ];
    for (fault, expected) in cases {
        let label = format!("{fault:?}");
        rig.proxy.heal();
        rig.proxy.inject(When::op(Op::Put), fault);
        let mark = rig.proxy.mark();
        let outcome = rig.put("v", &is("\"0123456789abcdef0123456789abcdef\""));
        let meaning = match &outcome {
            Ok(Outcome::Committed(_)) => "Saved",
            Ok(Outcome::Refused(_)) => "Refused",
            Ok(Outcome::Unknown) => "Unknown",
            Err(Error::NotFound(_)) => "NotFound",
            Err(Error::VersionGone(_)) => "VersionGone",
            Err(Error::Denied { .. }) => "Denied",
            Err(Error::Unreachable { .. }) => "Unreachable",
            Err(Error::Collided { .. }) => "Collided",
            Err(Error::Deadline { .. }) => "Deadline",
            Err(Error::TooBig { .. }) => "TooBig",
            Err(Error::Corrupt { .. }) => "Corrupt",
            Err(Error::Failed { .. }) => "Failed",
            Err(Error::Unsupported { .. }) => "Unsupported",
        };
        assert_eq!(meaning, expected, "{label}: {outcome:?}");
        assert_eq!(rig.proxy.since(mark).counts().of(Op::Put), 1, "{label}");
    }
}

#[test]
fn a_put_whose_answer_tells_no_version_asks_for_it() {
    let rig = or_skip!(Rig::new());
    let no_etag = Fault::edit(|head, _| {
        head.headers.remove("etag");
    });
    rig.proxy.inject(When::op(Op::Put), no_etag);
    let outcome = rig.put("new", &Precondition::Absent).unwrap();
    let now = rig.other.head("key").unwrap().etag;
    assert_eq!(outcome, Outcome::Committed(Version::new(now)));
}

#[test]
fn nothing_listens_is_certainly_not_done() {
    let rig = or_skip!(Rig::new());
    // Not by the rig: a connection that is still open when the server goes may have carried a request.
    rig.other.put("key", "1");
    rig.proxy.down();
    let put = rig.put("2", &Precondition::Absent);
    assert!(matches!(put, Err(Error::Unreachable { .. })), "{put:?}");
    let get = rig.get(&ReadCondition::Newest, ALL);
    assert!(matches!(get, Err(Error::Unreachable { .. })), "{get:?}");
    rig.proxy.up();
    assert_eq!(rig.get(&ReadCondition::Newest, ALL).unwrap(), "1");
}

#[test]
fn without_credentials_nothing_is_sent_and_nothing_in_doubt() {
    let rig = or_skip!(Rig::with(|config| {
        // A profile that does not exist, on a machine that is not asked.
        config.credentials = Credentials::Standard {
            profile: Some(format!("etagfs-test-{}", uuid::Uuid::new_v4())),
            instance: etagfs::backend::s3::Instance::Ignore,
        };
    }));
    let put = rig.put("v", &Precondition::Absent);
    assert!(matches!(put, Err(Error::Denied { .. })), "{put:?}");
    let get = rig.get(&ReadCondition::Newest, ALL);
    assert!(matches!(get, Err(Error::Denied { .. })), "{get:?}");
    assert!(rig.proxy.log().0.is_empty());
}

#[test]
fn wrong_keys_are_denied() {
    let rig = or_skip!(Rig::with(|config| {
        config.credentials = Credentials::Keys {
            id: "nobody".into(),
            secret: "nothing".into(),
            token: None,
        };
    }));
    let put = rig.put("v", &Precondition::Absent);
    assert!(matches!(put, Err(Error::Denied { .. })), "{put:?}");
    let get = rig.get(&ReadCondition::Newest, ALL);
    assert!(matches!(get, Err(Error::Denied { .. })), "{get:?}");
}

/// Time limits that a test can wait for.
fn short(config: &mut S3Config) {
    config.deadlines = Deadlines {
        attempt: Duration::from_secs(3),
        operation: Duration::from_secs(5),
        ..Deadlines::default()
    };
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let rig = or_skip!(Rig::with(short));
    let gate = Gate::new();
    rig.proxy
        .inject(When::any(), Fault::BlackHole(gate.clone()));
    assert_eq!(
        rig.put("v", &Precondition::Absent).unwrap(),
        Outcome::Unknown
    );
    let get = rig.get(&ReadCondition::Newest, ALL);
    assert!(matches!(get, Err(Error::Deadline { .. })), "{get:?}");
    gate.open();
}

#[test]
fn a_read_is_retried() {
    let rig = or_skip!(Rig::new());
    rig.other.put("key", "value");
    for fault in [
        Fault::Refuse,
        Fault::slow_down(),
        Fault::internal_error(),
        Fault::CutBody,
        Fault::WrongLength(3),
    ] {
        let label = format!("{fault:?}");
        rig.proxy.heal();
        let once = rig.proxy.inject(When::op(Op::Get).once(), fault);
        assert_eq!(
            rig.get(&ReadCondition::Newest, ALL).unwrap(),
            "value",
            "{label}"
        );
        assert_eq!(once.struck(), 1, "{label}");
    }
}

#[test]
fn a_damaged_answer_is_never_a_value() {
    let rig = or_skip!(Rig::new());
    // A put shows that ETags are digests here; a mount's probe does so too.
    rig.put(
        "a value that is long enough to be damaged",
        &Precondition::Absent,
    )
    .unwrap();
    let wrong_etag = Fault::edit(|head, _| {
        let etag = "\"0123456789abcdef0123456789abcdef\"".parse().unwrap();
        head.headers.insert("etag", etag);
    });
    let no_etag = Fault::edit(|head, _| {
        head.headers.remove("etag");
    });
    for fault in [
        Fault::CutBody,
        Fault::WrongLength(3),
        Fault::WrongLength(-3),
        Fault::GarbageBody,
        no_etag,
        wrong_etag,
    ] {
        let label = format!("{fault:?}");
        rig.proxy.heal();
        rig.proxy.inject(When::op(Op::Get), fault.clone());
        for pin in [
            ReadCondition::Newest,
            ReadCondition::Not(Version::new("\"x\"")),
        ] {
            let got = rig.get(&pin, ALL);
            assert!(got.is_err(), "{label}, {pin:?}: {got:?}");
        }
    }
}

#[test]
fn a_read_of_a_part_is_that_part_or_an_error() {
    let rig = or_skip!(Rig::new());
    rig.other.put("key", "0123456789");
    let span = ByteRange::Range { start: 2, len: 4 };
    let another_part = Fault::edit(|head, _| {
        let range = "bytes 3-6/10".parse().unwrap();
        head.headers.insert("content-range", range);
    });
    rig.proxy.inject(When::op(Op::Get), another_part);
    let got = rig.get(&ReadCondition::Newest, span);
    assert!(matches!(got, Err(Error::Corrupt { .. })), "{got:?}");

    rig.proxy.heal();
    let ignores_ranges = Fault::edit(|head, body| {
        head.status = hyper::StatusCode::OK;
        head.headers.remove("content-range");
        *body = Bytes::from_static(b"0123456789");
    });
    rig.proxy.inject(When::op(Op::Get), ignores_ranges);
    assert_eq!(rig.get(&ReadCondition::Newest, span).unwrap(), "2345");
}

#[test]
fn a_server_that_ignores_a_pin_is_found_out() {
    let rig = or_skip!(Rig::new());
    let old = rig.other.put("key", "old");
    rig.other.put("key", "new");
    // As if the server had not seen the condition.
    let no_condition = Fault::edit(|head, body| {
        head.status = hyper::StatusCode::OK;
        let etag = "\"22af645d1859cb5ca6da0c484f1f37ea\"".parse().unwrap();
        head.headers.insert("etag", etag);
        *body = Bytes::from_static(b"new");
    });
    rig.proxy.inject(When::op(Op::Get), no_condition);
    let got = rig.get(&ReadCondition::Is(Version::new(old)), ALL);
    assert!(matches!(got, Err(Error::VersionGone(_))), "{got:?}");
}

#[test]
fn etags_that_are_no_digests_do_no_harm() {
    let rig = or_skip!(Rig::new());
    rig.other.put("key", "value");
    let other_etag = Fault::edit(|head, _| {
        let etag = "\"0123456789abcdef0123456789abcdef\"".parse().unwrap();
        head.headers.insert("etag", etag);
    });
    rig.proxy.inject(When::any(), other_etag);
    assert_eq!(rig.get(&ReadCondition::Newest, ALL).unwrap(), "value");
    let first = rig.proxy.log().counts();
    // Once known it costs nothing any more.
    assert_eq!(rig.get(&ReadCondition::Newest, ALL).unwrap(), "value");
    let second = rig.proxy.log().counts();
    assert_eq!(second.of(Op::Get), first.of(Op::Get) + 1);
    assert_eq!(second.of(Op::Head), first.of(Op::Head));
}

/// What a proxy says that knows of no server for the request.
fn no_route() -> Fault {
    let answer = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
                  Content-Length: 19\r\n\r\n404 page not found\n";
    Fault::Raw(Bytes::from_static(answer.as_bytes()))
}

#[test]
fn a_key_that_only_a_proxy_does_not_find_is_not_absent() {
    let rig = or_skip!(Rig::new());
    rig.other.put("key", "value");
    rig.proxy.inject(When::op(Op::Get), no_route());
    let got = rig.get(&ReadCondition::Newest, ALL);
    assert!(matches!(got, Err(Error::Failed { .. })), "{got:?}");
}

#[test]
fn every_operation_is_one_request_when_all_is_well() {
    let rig = or_skip!(Rig::new());
    let outcome = rig.put("0123456789", &Precondition::Absent).unwrap();
    let Outcome::Committed(version) = outcome else {
        panic!("{outcome:?}");
    };
    rig.get(&ReadCondition::Newest, ALL).unwrap();
    rig.get(&ReadCondition::Newest, ByteRange::UpTo(3)).unwrap();
    rig.get(
        &ReadCondition::Is(version.clone()),
        ByteRange::Range { start: 2, len: 3 },
    )
    .unwrap();
    let known = ReadCondition::Not(version.clone());
    let unchanged = rig.runtime.block_on(rig.s3.get(&at(), &known, ALL));
    assert_eq!(unchanged.unwrap(), Fetched::Unchanged);
    rig.runtime.block_on(rig.s3.head(&at())).unwrap();
    let deleted = rig.runtime.block_on(rig.s3.delete(&at(), &version));
    assert_eq!(deleted.unwrap(), Outcome::Committed(()));
    let counts = rig.proxy.log().counts();
    assert_eq!(
        [Op::Put, Op::Get, Op::Head, Op::Delete].map(|op| counts.of(op)),
        [1, 4, 1, 1]
    );
}

#[test]
fn a_connection_that_died_while_idle_costs_no_certainty() {
    let rig = or_skip!(Rig::new());
    let outcome = rig.put("1", &Precondition::Absent).unwrap();
    let Outcome::Committed(version) = outcome else {
        panic!("{outcome:?}");
    };
    // All connections close; the pool has one of them.
    rig.proxy.down();
    rig.proxy.up();
    let outcome = rig.put("2", &Precondition::Is(version)).unwrap();
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

#[test]
fn an_etag_under_kms_is_no_digest_and_is_not_doubted() {
    let rig = or_skip!(Rig::new());
    // Plain objects of the same bucket have digests, and that was learned.
    rig.put("plain", &Precondition::Absent).unwrap();
    let other_etag = |encryption: Option<&'static str>| {
        Fault::edit(move |head, _| {
            let etag = "\"0123456789abcdef0123456789abcdef\"".parse().unwrap();
            head.headers.insert("etag", etag);
            if let Some(kind) = encryption {
                let kind = kind.parse().unwrap();
                head.headers.insert("x-amz-server-side-encryption", kind);
            }
        })
    };
    for kind in ["aws:kms", "aws:kms:dsse"] {
        rig.proxy.heal();
        rig.proxy.inject(When::op(Op::Get), other_etag(Some(kind)));
        let mark = rig.proxy.mark();
        assert_eq!(
            rig.get(&ReadCondition::Newest, ALL).unwrap(),
            "plain",
            "{kind}"
        );
        assert_eq!(rig.proxy.since(mark).counts().of(Op::Get), 1, "{kind}");
    }
    // The control: with keys of S3 it would be damage.
    rig.proxy.heal();
    rig.proxy
        .inject(When::op(Op::Get), other_etag(Some("AES256")));
    assert!(rig.get(&ReadCondition::Newest, ALL).is_err());

    // A save under KMS teaches nothing about the ETags of others.
    let fresh = or_skip!(Rig::new());
    fresh
        .proxy
        .inject(When::op(Op::Put).once(), other_etag(Some("aws:kms")));
    fresh.put("one", &Precondition::Absent).unwrap();
    fresh.proxy.heal();
    let base = fresh.other.put("key", "two");
    fresh.put("three", &is(&base)).unwrap();
    fresh.proxy.inject(When::op(Op::Get), other_etag(None));
    assert!(
        fresh.get(&ReadCondition::Newest, ALL).is_err(),
        "ETags are digests here"
    );
}

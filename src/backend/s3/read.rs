//! GET and HEAD: one whole answer of one version, or an error.
//!
//! An answer is checked against what it announces and what was asked for, since servers exist
//! that ignore conditions or ranges, and connections that break in the middle. It knows status
//! codes only where they are answers (304, 412, 416); `failure.rs` knows the rest, and whose they are.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use super::body::whole;
use super::bounds::Framing;
use super::byte_range::{MOST_FOR_A_PART, NO_RANGES, announced, byte_range, part};
use super::failure::RequestFailure;
use super::info::IntoInfo;
use super::integrity::Judgement;
use super::{S3, integrity};
use crate::backend::habits::Condition;
use crate::backend::{ByteRange, Error, Fetched, Object, ObjectKey, ObjectMeta, ReadCondition};
use crate::model::Version;

/// So often a body that does not arrive whole is asked for again.
const BODIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// What one request for an object came to.
enum Got {
    Object(Box<Object>),
    /// The object, if its ETag need not be the MD5 of its bytes.
    Doubtful(Box<Object>),
    /// [`ReadCondition::Not`]: it is still that one.
    Unchanged,
    /// [`ReadCondition::Is`], [`ReadCondition::Snapshot`]: it is another one now, or none.
    Gone,
    /// The object ends before the range; the answer tells nothing more.
    PastTheEnd,
    /// The answer broke off, or is not what was asked for.
    Damaged(String),
}

/// Which of an object's versions one request asks for.
#[derive(Clone, Copy)]
enum Choice<'a> {
    ReadCondition(&'a ReadCondition),
    /// This one, by its name in a versioned bucket.
    Snapshot(&'a Version, &'a str),
}

impl Choice<'_> {
    /// The version of which an answer told.
    fn same(self, info: &ObjectMeta) -> Same {
        match self {
            Self::Snapshot(version, snapshot) => Same(
                ReadCondition::Snapshot(snapshot.to_owned()),
                Some(version.clone()),
            ),
            Self::ReadCondition(ReadCondition::Snapshot(snapshot)) => {
                Same(ReadCondition::Snapshot(snapshot.clone()), None)
            }
            Self::ReadCondition(_) => Same(ReadCondition::Is(info.version.clone()), None),
        }
    }
}

/// A version to ask about once more; one that is kept, by its name, and what it has to be.
#[derive(Clone)]
struct Same(ReadCondition, Option<Version>);

impl Same {
    fn as_choice(&self) -> Choice<'_> {
        match (&self.0, &self.1) {
            (ReadCondition::Snapshot(snapshot), Some(version)) => {
                Choice::Snapshot(version, snapshot)
            }
            (pin, _) => Choice::ReadCondition(pin),
        }
    }
}

/// A part that says how long the whole is.
const FIRST_BYTE: ByteRange = ByteRange::Range { start: 0, len: 1 };

impl S3 {
    /// [`crate::backend::Backend::head`].
    pub(super) async fn look(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        match self.head_of(at, None).await? {
            Ok(info) => Ok(info),
            Err(failure) if failure.is_hearsay() => self.look_by_get(at).await,
            Err(failure) => Err(self.read_error(at, failure)),
        }
    }

    /// What is known of an object, or of a version of it that is kept under this name.
    async fn head_of(
        &self,
        at: &ObjectKey,
        snapshot: Option<&str>,
    ) -> Result<Result<ObjectMeta, RequestFailure>, Error> {
        let request = self
            .reads
            .head_object()
            .bucket(&self.bucket)
            .key(at.as_str())
            .set_version_id(snapshot.map(str::to_owned));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(RequestFailure::of(error, true))),
        };
        self.habits.learn_capitals(answer.e_tag());
        let length = answer
            .content_length
            .and_then(|length| length.try_into().ok());
        let info = match length {
            Some(size) => answer
                .into_info(at, size)
                .map_err(|why| self.corrupt(at, why))?,
            None => Box::pin(self.look_by_range(at, snapshot)).await?,
        };
        Ok(Ok(info))
    }

    /// A HEAD was answered 404, and nothing shows that it is S3 that says so. The answer to a GET would
    /// name S3's own code (R3).
    async fn look_by_get(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        // No bytes of it. Boxed: a read may look, too.
        match Box::pin(self.read(at, &ReadCondition::Newest, ByteRange::UpTo(0))).await? {
            Fetched::Object(object) => Ok(object.info),
            Fetched::Unchanged => {
                Err(self.corrupt(at, "the answer does not say what it holds".to_owned()))
            }
        }
    }

    /// A HEAD did not tell the length. A part of the object tells it, and of an empty one, which has no
    /// parts, the whole.
    async fn look_by_range(
        &self,
        at: &ObjectKey,
        snapshot: Option<&str>,
    ) -> Result<ObjectMeta, Error> {
        let pin = snapshot.map_or(ReadCondition::Newest, |snapshot| {
            ReadCondition::Snapshot(snapshot.to_owned())
        });
        let begun = Instant::now();
        let mut why = "the answer does not give its length".to_owned();
        for _ in 0..BODIES {
            for span in [FIRST_BYTE, ByteRange::UpTo(0)] {
                match self
                    .request(at, Choice::ReadCondition(&pin), span, begun)
                    .await?
                {
                    Got::Object(object) | Got::Doubtful(object) => return Ok(object.info),
                    Got::Gone => return Err(Error::VersionGone(at.clone())),
                    Got::Damaged(reason) => why = reason,
                    Got::Unchanged | Got::PastTheEnd => {}
                }
            }
        }
        Err(self.corrupt(at, why))
    }

    /// [`crate::backend::Backend::get`].
    pub(super) async fn read(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        let begun = Instant::now();
        let mut why = String::new();
        let mut doubtful: Option<Box<Object>> = None;
        for attempt in 0..BODIES {
            if attempt > 0 {
                tracing::warn!(request = "get", object = %at, why, "an answer is damaged; asking again");
                sleep(PAUSE * attempt).await;
            }
            match self.fetch(at, pin, span, begun).await? {
                Got::Object(object) => return Ok(Fetched::Object(object)),
                // The same bytes twice, of the right length: then that is what the server holds.
                Got::Doubtful(object)
                    if doubtful.as_ref() == Some(&object)
                        && self.agrees(at, &object.info).await =>
                {
                    self.etags.are_no_digests();
                    return Ok(Fetched::Object(object));
                }
                Got::Doubtful(object) => {
                    why = "its ETag is not the MD5 of its bytes".to_owned();
                    doubtful = Some(object);
                }
                Got::Unchanged => return Ok(Fetched::Unchanged),
                Got::Gone => return Err(Error::VersionGone(at.clone())),
                Got::PastTheEnd => why = "the object grew while it was read".to_owned(),
                Got::Damaged(reason) => why = reason,
            }
        }
        Err(self.corrupt(at, why))
    }

    /// Whether a HEAD tells the same of the object as the GET did.
    async fn agrees(&self, at: &ObjectKey, info: &ObjectMeta) -> bool {
        let looked = self.look(at).await;
        looked.is_ok_and(|seen| seen.version == info.version && seen.size == info.size)
    }

    async fn fetch(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
        begun: Instant,
    ) -> Result<Got, Error> {
        let mut got = self
            .request(at, Choice::ReadCondition(pin), span, begun)
            .await?;
        if let (Got::Gone, ReadCondition::Is(version)) = (&got, pin) {
            got = self.respelled(at, version, span, begun).await?;
        }
        if let (Got::Gone, ReadCondition::Is(version)) = (&got, pin)
            && let Some(snapshot) = version.snapshot()
        {
            let wanted = Choice::Snapshot(version, snapshot);
            got = match self.request(at, wanted, span, begun).await {
                // No right to read old versions, or none there.
                Err(Error::Denied { .. } | Error::NotFound(_) | Error::Failed { .. }) => Got::Gone,
                other => other?,
            };
        }
        match (got, span) {
            (Got::PastTheEnd, ByteRange::Range { start, .. }) => {
                self.past_the_end(at, pin, start).await
            }
            (got, _) => Ok(got),
        }
    }

    /// A condition on this version did not hold. Where nobody knows yet how the server wants ETags to be
    /// spelled, it is tried in each spelling, if that version is there.
    async fn respelled(
        &self,
        at: &ObjectKey,
        version: &Version,
        span: ByteRange,
        begun: Instant,
    ) -> Result<Got, Error> {
        let mut others = self.habits.others(Condition::Read, version);
        if others.is_empty() {
            return Ok(Got::Gone);
        }
        let there = self.look(at).await.map(|info| info.version);
        others.retain(|_| there.as_ref().ok() == Some(version));
        let pin = ReadCondition::Is(version.clone());
        for spelling in others {
            self.habits.suppose(Condition::Read, spelling);
            let got = self
                .request(at, Choice::ReadCondition(&pin), span, begun)
                .await;
            if !matches!(got, Ok(Got::Gone)) {
                self.habits.give_up(Condition::Read);
                return got;
            }
        }
        self.habits.give_up(Condition::Read);
        Ok(Got::Gone)
    }

    /// The object is shorter than the range's start, which an empty object always is. The answer
    /// to a GET like that brings no version, so a HEAD must.
    async fn past_the_end(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        start: u64,
    ) -> Result<Got, Error> {
        let snapshot = match pin {
            ReadCondition::Is(version) => version.snapshot(),
            ReadCondition::Snapshot(snapshot) => Some(&**snapshot),
            ReadCondition::Newest | ReadCondition::Not(_) => None,
        };
        let info = match snapshot {
            None => match self.look(at).await {
                Err(Error::NotFound(what))
                    if matches!(pin, ReadCondition::Is(_)) && what != self.bucket =>
                {
                    return Ok(Got::Gone);
                }
                info => info?,
            },
            Some(_) => match self.head_of(at, snapshot).await? {
                Ok(info) => info,
                Err(failure) => return self.no_object(at, Choice::ReadCondition(pin), failure),
            },
        };
        Ok(match pin {
            ReadCondition::Is(version) if info.version != *version => Got::Gone,
            ReadCondition::Not(version) if info.version == *version => Got::Unchanged,
            _ if info.size > start => Got::PastTheEnd,
            _ => Got::Object(Box::new(Object {
                info,
                bytes: Bytes::new(),
            })),
        })
    }

    async fn request(
        &self,
        at: &ObjectKey,
        wanted: Choice<'_>,
        span: ByteRange,
        begun: Instant,
    ) -> Result<Got, Error> {
        let mut request = self
            .reads
            .get_object()
            .bucket(&self.bucket)
            .key(at.as_str());
        let spelling = self.habits.spelling(Condition::Read);
        request = match wanted {
            Choice::ReadCondition(ReadCondition::Newest) => request,
            Choice::ReadCondition(ReadCondition::Is(version)) => {
                request.if_match(spelling.spell(version))
            }
            Choice::ReadCondition(ReadCondition::Not(version)) => {
                request.if_none_match(spelling.spell(version))
            }
            Choice::ReadCondition(ReadCondition::Snapshot(snapshot)) => {
                request.version_id(snapshot)
            }
            Choice::Snapshot(_, snapshot) => request.version_id(snapshot),
        };
        if let ByteRange::Range { start, len } = span {
            request = request.range(byte_range(start, len));
        }
        let deadline = begun + self.deadlines.operation;
        let framing = Framing::default();
        let sending = request.customize().interceptor(framing.clone()).send();
        let mut answer = match timeout_at(deadline, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return self.no_object(at, wanted, RequestFailure::of(error, true)),
            Err(_) => return Err(self.read_error(at, RequestFailure::Late)),
        };
        self.habits.learn_capitals(answer.e_tag());
        let body = std::mem::take(&mut answer.body);
        let encryption = answer.server_side_encryption.take();
        let has_digest =
            integrity::may_be_digest(encryption.as_ref(), answer.sse_customer_algorithm());
        let announced = match announced(&answer, span) {
            Ok(announced) => announced,
            Err(why) => return Ok(Got::Damaged(why)),
        };
        let mut info = answer
            .into_info(at, announced.size.unwrap_or_default())
            .map_err(|why| self.corrupt(at, why))?;
        match wanted {
            // A server that ignores conditions on reads must not mix versions.
            Choice::ReadCondition(ReadCondition::Is(version)) | Choice::Snapshot(version, _)
                if info.version != *version =>
            {
                return Ok(Got::Gone);
            }
            Choice::ReadCondition(ReadCondition::Not(version)) if info.version == *version => {
                return Ok(Got::Unchanged);
            }
            Choice::ReadCondition(ReadCondition::Is(_)) => {
                self.habits.prove(Condition::Read, spelling)
            }
            _ => {}
        }
        let limits = self.deadlines.with_body(announced.body.most());
        let deadline = (begun + limits.operation).min(Instant::now() + limits.attempt);
        let bytes = match timeout_at(deadline, whole(body, announced.body)).await {
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Ok(None)) => return self.larger(at, wanted.same(&info), span, begun).await,
            Ok(Err(why)) => return Ok(Got::Damaged(why)),
            Err(_) if Instant::now() < begun + limits.operation => {
                return Ok(Got::Damaged("the body stopped arriving".to_owned()));
            }
            Err(_) => {
                return Err(RequestFailure::Late.of_read(self.what(at), &self.bucket, limits));
            }
        };
        let arrived = bytes.len() as u64;
        info.size = announced.size.unwrap_or(arrived);
        if announced.size.is_none() && !framing.tells_the_end() {
            let size = self.size(at, wanted.same(&info), span, begun).await?;
            if size != Some(arrived) {
                return Ok(Got::Damaged("nothing shows that it is complete".to_owned()));
            }
        }
        let judgement = match has_digest && arrived == info.size {
            true => self.etags.judge(info.version.etag(), &bytes),
            false => Judgement::Fine,
        };
        let bytes = match span {
            ByteRange::UpTo(_) => bytes,
            ByteRange::Range { len, .. } => part(&bytes, announced.skip, len),
        };
        let object = Box::new(Object { info, bytes });
        Ok(match judgement {
            Judgement::Fine => Got::Object(object),
            Judgement::Doubtful => Got::Doubtful(object),
            Judgement::Bad => Got::Damaged("its ETag is not the MD5 of its bytes".to_owned()),
        })
    }

    /// The size of an object whose body did not tell it: what a part says of the whole. None, if nothing
    /// says it.
    async fn size(
        &self,
        at: &ObjectKey,
        wanted: Same,
        span: ByteRange,
        begun: Instant,
    ) -> Result<Option<u64>, Error> {
        if span == FIRST_BYTE {
            return Ok(None);
        }
        let part = Box::pin(self.request(at, wanted.as_choice(), FIRST_BYTE, begun)).await?;
        Ok(match part {
            Got::Object(part) | Got::Doubtful(part) => Some(part.info.size),
            Got::PastTheEnd => Some(0),
            Got::Unchanged | Got::Gone | Got::Damaged(_) => None,
        })
    }

    /// A body continued after the wanted part, and its length is unknown.
    async fn larger(
        &self,
        at: &ObjectKey,
        wanted: Same,
        span: ByteRange,
        begun: Instant,
    ) -> Result<Got, Error> {
        let ByteRange::UpTo(most) = span else {
            return Ok(Got::Damaged(NO_RANGES.to_owned()));
        };
        let size = self.size(at, wanted.clone(), span, begun).await?;
        let size = match size {
            Some(size) if size <= most.min(MOST_FOR_A_PART) => {
                return Ok(Got::Damaged(
                    "it is longer than its announced length".to_owned(),
                ));
            }
            Some(size) => size,
            None => return Ok(Got::Damaged("nothing gives its length".to_owned())),
        };
        let is_wanted = size <= most;
        let whole = ByteRange::Range {
            start: 0,
            len: size,
        };
        let span = if is_wanted { whole } else { FIRST_BYTE };
        let got = Box::pin(self.request(at, wanted.as_choice(), span, begun)).await?;
        Ok(match got {
            Got::Object(mut object) if !is_wanted => {
                object.bytes = Bytes::new();
                Got::Object(object)
            }
            got => got,
        })
    }

    /// Reads an error answer to a request for an object.
    fn no_object(
        &self,
        at: &ObjectKey,
        wanted: Choice<'_>,
        failure: RequestFailure,
    ) -> Result<Got, Error> {
        let pinned = matches!(
            wanted,
            Choice::ReadCondition(ReadCondition::Is(_) | ReadCondition::Snapshot(_))
                | Choice::Snapshot(..)
        );
        match wanted {
            Choice::ReadCondition(ReadCondition::Not(version)) if failure.is_unchanged(version) => {
                Ok(Got::Unchanged)
            }
            _ if pinned && failure.says(412) => Ok(Got::Gone),
            _ if failure.says(416) => Ok(Got::PastTheEnd),
            _ => match self.read_error(at, failure) {
                Error::NotFound(what) if pinned && what != self.bucket => Ok(Got::Gone),
                error => Err(error),
            },
        }
    }

    fn read_error(&self, at: &ObjectKey, failure: RequestFailure) -> Error {
        failure.of_read(self.what(at), &self.bucket, self.deadlines)
    }

    fn corrupt(&self, at: &ObjectKey, why: String) -> Error {
        Error::Corrupt {
            what: self.what(at),
            why,
        }
    }
}

//! Preconditions of a request, evaluated against what stands at the key.
//!
//! Pure: it knows neither storage nor S3 types, only header names and ETags without quotes. The
//! caller evaluates a write's conditions inside the transaction that commits it. Sources: RFC 9110
//! section 13 for reads, the S3 API reference on conditional writes, deletes and copies for the
//! rest. Read [`super::s3`] for who calls what.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::storage::Refusal;

/// An ETag as a client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    weak: bool,
    value: String,
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// One or more ETags.
    List(Vec<Tag>),
}

/// The preconditions of one request, or of one side of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    /// Seconds since the epoch.
    if_modified_since: Option<i64>,
    /// Seconds since the epoch.
    if_unmodified_since: Option<i64>,
}

/// What a read may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadVerdict {
    /// Send it.
    Send,
    /// 304: the client has it already.
    NotModified,
    /// 412, with the condition that failed.
    Failed(&'static str),
}

/// Why conditions cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// A header that cannot be parsed.
    Malformed(&'static str),
    /// A condition that S3 does not implement for this kind of request.
    NotImplemented(&'static str),
}

impl Conditions {
    /// The conditions on the object that the request names.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Unusable> {
        Self::from_headers(
            headers,
            [
                "if-match",
                "if-none-match",
                "if-modified-since",
                "if-unmodified-since",
            ],
        )
    }

    /// The conditions on the source of a copy.
    pub(super) fn of_copy_source(headers: &HeaderMap) -> Result<Self, Unusable> {
        Self::from_headers(
            headers,
            [
                "x-amz-copy-source-if-match",
                "x-amz-copy-source-if-none-match",
                "x-amz-copy-source-if-modified-since",
                "x-amz-copy-source-if-unmodified-since",
            ],
        )
    }

    fn from_headers(headers: &HeaderMap, names: [&'static str; 4]) -> Result<Self, Unusable> {
        let [matches, none_match, modified, unmodified] = names;
        Ok(Self {
            if_match: tags(headers, matches)?,
            if_none_match: tags(headers, none_match)?,
            if_modified_since: date(headers, modified),
            if_unmodified_since: date(headers, unmodified),
        })
    }

    /// The condition `If-Match: "etag"`, as an entry of a batch delete carries it.
    pub(super) fn only_if_etag_is(etag: &str) -> Self {
        let tag = Tag {
            weak: false,
            value: etag.to_owned(),
        };
        let any = etag == "*";
        let if_match = if any {
            Tags::Any
        } else {
            Tags::List(vec![tag])
        };
        Self {
            if_match: Some(if_match),
            ..Self::default()
        }
    }

    /// Refuses the conditions that S3 does not implement for writes, rather than ignore them.
    pub(super) fn for_write(self) -> Result<Self, Unusable> {
        if matches!(self.if_none_match, Some(Tags::List(_))) {
            return Err(Unusable::NotImplemented(
                "If-None-Match of a write must be *",
            ));
        }
        if self.if_modified_since.is_some() || self.if_unmodified_since.is_some() {
            return Err(Unusable::NotImplemented("a write cannot depend on a date"));
        }
        Ok(self)
    }

    /// As [`Conditions::for_write`]; a delete knows `If-Match` only.
    pub(super) fn for_delete(self) -> Result<Self, Unusable> {
        if self.if_none_match.is_some() {
            return Err(Unusable::NotImplemented(
                "a delete cannot depend on If-None-Match",
            ));
        }
        self.for_write()
    }

    /// Whether a write may replace what has this ETag (`None`: nothing is there).
    ///
    /// `If-Match` on a missing key is `NoSuchKey`, not a failed precondition: so S3 documents it.
    pub(super) fn allow_write(&self, current: Option<&str>) -> Result<(), Refusal> {
        match (&self.if_match, current) {
            (None, _) => {}
            (Some(_), None) => return Err(Refusal::NoSuchKey),
            (Some(wanted), Some(etag)) if wanted.match_strongly(etag) => {}
            (Some(_), Some(_)) => return Err(Refusal::PreconditionFailed("If-Match")),
        }
        match (&self.if_none_match, current) {
            (Some(_), Some(_)) => Err(Refusal::PreconditionFailed("If-None-Match")),
            _ => Ok(()),
        }
    }

    /// Whether a delete may remove what has this ETag; without a condition it may always.
    pub(super) fn allow_delete(&self, current: Option<&str>) -> Result<(), Refusal> {
        self.allow_write(current)
    }

    /// What a read of this version answers. `modified` is in seconds since the epoch.
    pub(super) fn read(&self, etag: &str, modified: i64) -> ReadVerdict {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) if !wanted.match_strongly(etag) => {
                return ReadVerdict::Failed("If-Match");
            }
            (None, Some(date)) if modified > date => {
                return ReadVerdict::Failed("If-Unmodified-Since");
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(known), _) if known.match_weakly(etag) => ReadVerdict::NotModified,
            (None, Some(date)) if modified <= date => ReadVerdict::NotModified,
            _ => ReadVerdict::Send,
        }
    }

    /// Whether this version may be the source of a copy: there is no 304 for a copy.
    pub(super) fn allow_copy_of(&self, etag: &str, modified: i64) -> Result<(), Refusal> {
        match self.read(etag, modified) {
            ReadVerdict::Send => Ok(()),
            ReadVerdict::NotModified => Err(Refusal::PreconditionFailed("x-amz-copy-source-if")),
            ReadVerdict::Failed(name) => Err(Refusal::PreconditionFailed(name)),
        }
    }
}

impl Tags {
    fn match_strongly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| !tag.weak && tag.value == etag),
        }
    }

    fn match_weakly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| tag.value == etag),
        }
    }
}

/// Every line of the header, and every ETag of a line; quotes may be missing.
fn tags(headers: &HeaderMap, name: &'static str) -> Result<Option<Tags>, Unusable> {
    let mut found: Option<Tags> = None;
    for line in headers.get_all(HeaderName::from_static(name)) {
        let line = line.to_str().map_err(|_| Unusable::Malformed(name))?.trim();
        if line == "*" {
            found = Some(Tags::Any);
            continue;
        }
        let parsed = list(line).ok_or(Unusable::Malformed(name))?;
        match &mut found {
            Some(Tags::Any) => {}
            Some(Tags::List(tags)) => tags.extend(parsed),
            None => found = Some(Tags::List(parsed)),
        }
    }
    Ok(found)
}

fn list(line: &str) -> Option<Vec<Tag>> {
    let mut rest = line;
    let mut tags = Vec::new();
    loop {
        let (weak, tail) = match rest.strip_prefix("W/") {
            Some(tail) => (true, tail),
            None => (false, rest),
        };
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => tail.find(',').map_or((tail, ""), |at| tail.split_at(at)),
        };
        let value = value.trim();
        if value.contains('"') {
            return None;
        }
        tags.push(Tag {
            weak,
            value: value.to_owned(),
        });
        rest = tail.trim_start();
        if rest.is_empty() {
            return Some(tags);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// A date that cannot be parsed is no condition (RFC 9110 13.1.3).
fn date(headers: &HeaderMap, name: &'static str) -> Option<i64> {
    let text = headers
        .get(HeaderName::from_static(name))
        .map(HeaderValue::to_str)?
        .ok()?;
    OffsetDateTime::parse(text, &Rfc2822)
        .ok()
        .map(OffsetDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(headers: &[(&'static str, &str)]) -> Conditions {
        Conditions::of(&map(headers)).unwrap()
    }

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn is_missing(answer: Result<(), Refusal>) -> bool {
        matches!(answer, Err(Refusal::NoSuchKey))
    }

    fn is_refused(answer: Result<(), Refusal>) -> bool {
        matches!(answer, Err(Refusal::PreconditionFailed(_)))
    }

    #[test]
    fn if_match_allows_only_the_version_it_names() {
        for header in ["\"abc\"", "abc", "\"x\", \"abc\"", "x,abc", "*"] {
            let c = conditions(&[("if-match", header)]);
            assert!(c.allow_write(Some("abc")).is_ok(), "{header}");
            assert!(is_missing(c.allow_write(None)), "{header}");
        }
        for header in ["\"abd\"", "abd", "W/\"abc\"", "\"\"", "\"*\""] {
            let c = conditions(&[("if-match", header)]);
            assert!(is_refused(c.allow_write(Some("abc"))), "{header}");
        }
    }

    #[test]
    fn if_none_match_star_allows_only_a_missing_key() {
        let c = conditions(&[("if-none-match", "*")]);
        assert!(c.allow_write(None).is_ok());
        assert!(is_refused(c.allow_write(Some("abc"))));
    }

    #[test]
    fn no_condition_allows_everything() {
        let c = conditions(&[]);
        assert!(c.allow_write(None).is_ok() && c.allow_write(Some("a")).is_ok());
        assert!(c.allow_delete(None).is_ok() && c.allow_delete(Some("a")).is_ok());
    }

    #[test]
    fn a_write_refuses_what_s3_does_not_implement() {
        for headers in [
            &[("if-none-match", "\"abc\"")][..],
            &[("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")],
            &[("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")],
        ] {
            let refused = conditions(headers).for_write();
            assert!(
                matches!(refused, Err(Unusable::NotImplemented(_))),
                "{headers:?}"
            );
        }
        assert!(conditions(&[("if-none-match", "*")]).for_delete().is_err());
        assert!(conditions(&[("if-match", "*")]).for_delete().is_ok());
    }

    #[test]
    fn a_malformed_tag_is_an_error_and_not_a_mismatch() {
        for header in ["\"abc", "\"a\" \"b\"", "a\"b"] {
            assert!(
                Conditions::of(&map(&[("if-match", header)])).is_err(),
                "{header}"
            );
        }
    }

    #[test]
    fn reads_follow_the_precedence_of_rfc_9110() {
        let before = "Thu, 01 Jan 1970 00:00:10 GMT";
        let after = "Thu, 01 Jan 1970 00:00:30 GMT";
        let read = |headers: &[(&'static str, &str)]| conditions(headers).read("abc", 20);
        assert_eq!(read(&[]), ReadVerdict::Send);
        assert_eq!(
            read(&[("if-none-match", "W/\"abc\"")]),
            ReadVerdict::NotModified
        );
        assert_eq!(read(&[("if-none-match", "*")]), ReadVerdict::NotModified);
        assert_eq!(read(&[("if-none-match", "x")]), ReadVerdict::Send);
        assert_eq!(
            read(&[("if-modified-since", after)]),
            ReadVerdict::NotModified
        );
        assert_eq!(read(&[("if-modified-since", before)]), ReadVerdict::Send);
        assert_eq!(
            read(&[("if-unmodified-since", before)]),
            ReadVerdict::Failed("If-Unmodified-Since")
        );
        assert_eq!(
            read(&[("if-match", "abc"), ("if-unmodified-since", before)]),
            ReadVerdict::Send,
            "an ETag outranks a date"
        );
        assert_eq!(
            read(&[("if-none-match", "x"), ("if-modified-since", after)]),
            ReadVerdict::Send,
            "an ETag outranks a date"
        );
        assert_eq!(
            read(&[("if-match", "x"), ("if-none-match", "abc")]),
            ReadVerdict::Failed("If-Match")
        );
    }
}

//! Servers that are not as S3 is, each as it was seen or reported: the proxy makes one of the true server behind it.
//! `docs/servers.md` says whose habit each is. A proxy that is to be several of them is told so several times.

use bytes::Bytes;
use hyper::http::HeaderValue;
use hyper::http::response::Parts;

use super::{Fault, Op, Proxy, Record, When};

/// How an ETag is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelled {
    /// `abc`
    Unquoted,
    /// `W/"abc"`
    Weak,
    /// `"ABC"`
    Capitals,
    /// `W/abc`
    WeakUnquoted,
    /// Another value altogether, which changes with the content too.
    Otherwise,
    /// Not at all.
    NotAtAll,
    /// `*`
    Star,
    /// Nothing in quotes.
    Empty,
    /// What a program says that has nothing to say.
    Null,
    /// What no header can carry back.
    Absurd,
}

impl Spelled {
    /// All that still tell the version.
    pub(crate) const TRUE: [Self; 4] = [
        Self::Unquoted,
        Self::Weak,
        Self::Capitals,
        Self::WeakUnquoted,
    ];

    /// All that tell none.
    pub(crate) const NONE: [Self; 5] = [
        Self::NotAtAll,
        Self::Star,
        Self::Empty,
        Self::Null,
        Self::Absurd,
    ];

    fn spell(self, etag: &str) -> Option<String> {
        let bare = etag.trim_matches('"');
        Some(match self {
            Self::Unquoted => bare.to_owned(),
            Self::Weak => format!("W/\"{bare}\""),
            Self::Capitals => format!("\"{}\"", bare.to_uppercase()),
            Self::WeakUnquoted => format!("W/{bare}"),
            Self::Otherwise => format!("\"0x{}\"", bare.chars().rev().collect::<String>()),
            Self::NotAtAll => return None,
            Self::Star => "*".to_owned(),
            Self::Empty => "\"\"".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Absurd => format!("\"{bare} {bare}\""),
        })
    }
}

/// A habit of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// The answers to these requests spell ETags so.
    Etags(&'static [Op], Spelled),
    /// The condition of these requests never holds when the ETag is in quotes, and does without.
    WantsUnquoted(&'static [Op]),
    /// These requests are answered with this error.
    Answers(&'static [Op], u16, &'static str),
    /// These requests are, if they have a condition.
    AnswersConditions(&'static [Op], u16, &'static str),
    /// A put without a checksum is refused, as in a bucket with Object Lock.
    DemandsChecksum,
    /// The success of these requests comes with a body that is no XML.
    Gibberish(&'static [Op]),
}

/// All that have an ETag.
pub(crate) const ALL: &[Op] = &[Op::Put, Op::Head, Op::Get, Op::List];

/// All whose condition is an ETag.
pub(crate) const CONDITIONAL: &[Op] = &[Op::Put, Op::Delete, Op::Head, Op::Get];

impl Proxy {
    /// From now on the server behind it seems to have this habit.
    pub(crate) fn behave_as(&self, odd: Odd) {
        let of = |ops: &'static [Op]| When::any().and(move |asked| ops.contains(&asked.op));
        let answer = |status, code| Fault::Answer(status, code);
        match odd {
            Odd::Etags(ops, spelled) => {
                let edit = Fault::edit(move |head, body| respell(head, body, spelled));
                self.inject(of(ops), edit);
            }
            Odd::WantsUnquoted(ops) => {
                let quoted = |asked: &Record| asked.if_match().is_some_and(|it| it.contains('"'));
                self.inject(of(ops).and(quoted), answer(412, "PreconditionFailed"));
            }
            Odd::Answers(ops, status, code) => {
                self.inject(of(ops), answer(status, code));
            }
            Odd::AnswersConditions(ops, status, code) => {
                let conditional =
                    |asked: &Record| asked.if_match().or(asked.if_none_match()).is_some();
                self.inject(of(ops).and(conditional), answer(status, code));
            }
            Odd::DemandsChecksum => {
                let bare = |asked: &Record| !has_checksum(asked);
                self.inject(of(&[Op::Put]).and(bare), answer(400, "InvalidRequest"));
            }
            Odd::Gibberish(ops) => {
                self.inject(of(ops), Fault::GarbageBody);
            }
        }
    }
}

/// Whether a put has what a bucket with Object Lock demands (S3 user guide, "Object Lock considerations").
fn has_checksum(asked: &Record) -> bool {
    let names = [
        "content-md5",
        "x-amz-checksum-crc32",
        "x-amz-checksum-sha256",
    ];
    names.iter().any(|name| asked.header(name).is_some())
}

fn respell(head: &mut Parts, body: &mut Bytes, spelled: Spelled) {
    if let Some(etag) = head.headers.remove("etag")
        && let Some(text) = spelled.spell(etag.to_str().unwrap())
    {
        head.headers
            .insert("etag", HeaderValue::from_str(&text).unwrap());
    }
    let Ok(xml) = std::str::from_utf8(body) else {
        return;
    };
    if !xml.contains("<ListBucketResult") {
        return;
    }
    let mut parts = xml.split("<ETag>");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (etag, rest) = part.split_once("</ETag>").unwrap();
        let etag = etag.replace("&quot;", "\"").replace("&#34;", "\"");
        if let Some(text) = spelled.spell(&etag) {
            told.push_str(&format!("<ETag>{}</ETag>", text.replace('"', "&quot;")));
        }
        told.push_str(rest);
    }
    *body = Bytes::from(told);
}

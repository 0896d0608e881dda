//! What a file shows of an object, and which object a saved file becomes.
//!
//! Pure: objects' bytes in, files' bytes out, and back, by the object's own header. It knows nothing
//! of names in a bucket or of requests. [`glance`] reads the beginning of an object, [`Content::read`]
//! its value; [`Plan`] is a save. `log.rs` has the logs, which are several objects.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

use super::aes::{EncryptionKey, SALT_BYTES};
use super::blob::{Blob, Codec, Header, Serializer, Unreadable, Unstorable};
use super::log::Head;
use super::metadata::{Kind, Metadata};
use super::value::Value;
use super::{edn, hasch};

/// How much memory each step of reading a value may take, in bytes.
const DECODE_LIMIT: usize = 256 << 20;
/// More metadata than this is not read.
pub const MAX_METADATA: u64 = 1 << 20;

/// What the beginning of an object says.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// How it was written.
    pub header: Header,
    /// What is known of its key.
    pub metadata: Metadata,
}

impl Glance {
    /// Whether the file has the stored bytes of the value.
    pub fn is_binary(&self) -> bool {
        self.metadata.kind() == Some(Kind::Binary)
    }
}

/// The beginning of an object, as far as it is at hand.
#[derive(Clone, Debug, PartialEq)]
pub enum Glanced {
    /// All of it.
    All(Glance),
    /// The metadata goes on: so many bytes are needed.
    Needs(u64),
}

/// Reads the beginning of an object.
///
/// # Errors
/// [`Unreadable`] when it is no konserve object, or encrypted with another key.
pub fn glance(beginning: &[u8], secret: Option<&EncryptionKey>) -> Result<Glanced, Unreadable> {
    let header = Header::read(beginning)?;
    if u64::from(header.metadata_bytes) > MAX_METADATA {
        return Err(Unreadable::Header("the metadata is too large"));
    }
    let end = usize::try_from(header.value_at()).unwrap_or(usize::MAX);
    let Some(stored) = beginning.get(super::blob::HEADER_BYTES..end) else {
        return Ok(Glanced::Needs(header.value_at()));
    };
    let value = header.codec.decode(stored, secret, DECODE_LIMIT)?;
    let metadata =
        Metadata::from_value(value).map_err(|_| Unreadable::Header("metadata without a key"))?;
    Ok(Glanced::All(Glance { header, metadata }))
}

/// An object that was read: what a save of its file keeps of it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name.
    pub object: Uuid,
    /// How it was written.
    pub header: Header,
    /// What is known of its key.
    pub metadata: Metadata,
    /// What its file shows.
    pub content: Content,
}

/// What a file shows of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The value as EDN text.
    Text(Bytes),
    /// The stored bytes of the value are the file's.
    Binary,
    /// The elements of a log; `None` while only its head was read.
    Log(Head, Option<Bytes>),
    /// Nothing: why the value cannot be read.
    Opaque(Arc<str>),
    /// Nothing yet: the value was not read.
    Unread,
}

impl Content {
    /// What a file shows of an object with this beginning and these stored bytes of a value.
    pub fn read(
        glance: &Glance,
        object: Uuid,
        stored: &[u8],
        secret: Option<&EncryptionKey>,
    ) -> Self {
        let opaque = |why: String| Self::Opaque(why.into());
        let is_log = glance.metadata.kind() == Some(Kind::AppendLog);
        if glance.is_binary() {
            return Self::Binary;
        }
        let value = match glance.header.codec.decode(stored, secret, DECODE_LIMIT) {
            Ok(value) => value,
            Err(why) => return opaque(format!("its value cannot be read: {why}")),
        };
        if is_log && is_own(&glance.metadata, object) {
            return match Head::of(&value) {
                Some(head) => Self::Log(head, None),
                None => opaque("its value is no head of a log".to_owned()),
            };
        }
        Self::Text(edn::print(&value).into())
    }
}

/// Whether an object is that of the key in its metadata. Elements of logs are not.
pub fn is_own(metadata: &Metadata, object: Uuid) -> bool {
    hasch::uuid(metadata.key()) == Ok(object)
}

/// Whether an object is an element of a log: it has the log's key, and a name of its own.
pub fn is_element(metadata: &Metadata, object: Uuid) -> bool {
    metadata.kind() == Some(Kind::AppendLog) && !is_own(metadata, object)
}

impl Stored {
    /// Whether it is the head of a log.
    pub fn is_log(&self) -> bool {
        matches!(self.content, Content::Log(..))
    }

    /// Why its file cannot be saved, if it cannot.
    pub fn read_only(&self) -> Option<&'static str> {
        if self.metadata.is_immutable() {
            return Some("its metadata says :immutable?");
        }
        if is_element(&self.metadata, self.object) {
            return Some("it is an element of a log");
        }
        match self.header.codec.serializer {
            Serializer::Fressian => None,
            Serializer::Text => Some("it was written as text, which no program does"),
            Serializer::CljCbor | Serializer::Boring => Some("it is CBOR, which is read only"),
        }
    }

    /// What is told of the object: names of attributes and their values.
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let metadata = self.metadata.clone();
        let kind = metadata.get("type").map(edn::print_line);
        let last_write = metadata
            .last_write()
            .map(|ms| edn::print_line(&Value::Inst(ms)));
        let mut told = vec![
            ("key", edn::print_line(metadata.key())),
            ("uuid", self.object.to_string()),
            ("header", hex::encode(self.header.write())),
        ];
        told.extend(kind.map(|kind| ("type", kind)));
        told.extend(last_write.map(|at| ("last-write", at)));
        told.push(("meta", edn::print_line(&metadata.into_value())));
        told
    }
}

/// Why a file cannot be saved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unsavable {
    /// The text is no value that konserve could read back.
    #[error("not saved, {0}")]
    Text(String),
    /// It may not be written.
    #[error("{0}")]
    ReadOnly(String),
}

impl From<Unstorable> for Unsavable {
    fn from(why: Unstorable) -> Self {
        match why {
            Unstorable::Fressian(_) | Unstorable::TooLarge | Unstorable::Compression => {
                Self::Text(why.to_string())
            }
            Unstorable::ReadOnly | Unstorable::NoKey => Self::ReadOnly(why.to_string()),
        }
    }
}

/// What a save makes of a file's bytes.
#[derive(Clone, Debug)]
pub struct Plan {
    codec: Codec,
    metadata: Metadata,
    is_binary: bool,
}

/// A new object.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Its bytes.
    pub bytes: Bytes,
    /// How it is written.
    pub header: Header,
    /// What is known of its key.
    pub metadata: Metadata,
    /// What its file shows.
    pub content: Content,
}

impl Plan {
    /// A new object of `key`, in a store that writes with `codec`. `source` is the object that the
    /// bytes came from, if the file was renamed: its codec and its metadata go with it.
    pub fn create(key: Value, codec: Codec, source: Option<&Stored>) -> Self {
        let Some(source) = source else {
            return Self {
                codec,
                metadata: Metadata::new(key, &Kind::Edn, i64::MIN),
                is_binary: false,
            };
        };
        let mut metadata = source.metadata.clone();
        metadata.set_key(key);
        Self {
            codec: source.header.codec,
            metadata,
            is_binary: source.content == Content::Binary,
        }
    }

    /// Another version of an object. `source` is another object that the bytes came from, if a file
    /// was renamed over this one: then they are of its kind, and stay as secret as they were.
    pub fn replace(target: &Stored, source: Option<&Stored>) -> Self {
        let mut codec = target.header.codec;
        let mut metadata = target.metadata.clone();
        let mut is_binary = target.content == Content::Binary;
        if let Some(source) = source {
            codec.encrypted |= source.header.codec.encrypted;
            is_binary = source.content == Content::Binary;
            metadata.set_kind(match is_binary {
                true => &Kind::Binary,
                false => &Kind::Edn,
            });
        }
        Self {
            codec,
            metadata,
            is_binary,
        }
    }

    /// The bytes themselves are to be the value, whatever was there: `bassoc`.
    pub fn binary(mut self) -> Self {
        self.is_binary = true;
        self.metadata.set_kind(&Kind::Binary);
        self
    }

    /// The value that the bytes are, unless they are the value's stored bytes.
    ///
    /// # Errors
    /// [`Unsavable::Text`] with line and column.
    pub fn parse(&self, bytes: &[u8]) -> Result<Option<Value>, Unsavable> {
        if self.is_binary {
            return Ok(None);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|bad| Unsavable::Text(not_utf8(bytes, bad.valid_up_to())))?;
        match edn::read(text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Unsavable::Text(error.to_string())),
        }
    }

    /// The object of a value ([`parse`](Self::parse)d from `bytes`), written at `now` (milliseconds
    /// since 1970). `salt` is asked for random bytes, each time for others.
    ///
    /// # Errors
    /// [`Unsavable`].
    pub fn seal(
        mut self,
        value: Option<&Value>,
        bytes: &Bytes,
        now: i64,
        secret: Option<&EncryptionKey>,
        mut salt: impl FnMut() -> [u8; SALT_BYTES],
    ) -> Result<Sealed, Unsavable> {
        self.metadata.written(now);
        let map = self.metadata.clone().into_value();
        let metadata = self.codec.encode(&map, secret.map(|key| (key, salt())))?;
        let (stored, content) = match value {
            None => (bytes.to_vec(), Content::Binary),
            Some(value) => {
                let stored = self.codec.encode(value, secret.map(|key| (key, salt())))?;
                (stored, Content::Text(edn::print(value).into()))
            }
        };
        let header = Header {
            codec: self.codec,
            metadata_bytes: u32::try_from(metadata.len()).map_err(|_| Unstorable::TooLarge)?,
        };
        let blob = Blob {
            codec: self.codec,
            metadata: &metadata,
            value: &stored,
        };
        Ok(Sealed {
            bytes: blob.write()?.into(),
            header,
            metadata: self.metadata,
            content,
        })
    }
}

fn not_utf8(bytes: &[u8], at: usize) -> String {
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count())
        + 1;
    format!("line {line}, column {column}: not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::Compression;

    fn secret() -> EncryptionKey {
        EncryptionKey::new(Value::string("s")).unwrap()
    }

    /// The object of a key with this text, as its file would show it when it is read again.
    fn made(key: &str, text: &str, codec: Codec) -> (Stored, Bytes) {
        let plan = Plan::create(Value::keyword(key), codec, None);
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let value = plan.parse(&bytes).unwrap();
        let sealed = plan
            .seal(value.as_ref(), &bytes, 5, Some(&secret()), || [3; 64])
            .unwrap();
        (
            read(&sealed.bytes, hasch::uuid(&Value::keyword(key)).unwrap()),
            sealed.bytes,
        )
    }

    fn read(object: &Bytes, name: Uuid) -> Stored {
        let Glanced::All(glance) = glance(object, Some(&secret())).unwrap() else {
            panic!()
        };
        let stored = &object[usize::try_from(glance.header.value_at()).unwrap()..];
        Stored {
            object: name,
            content: Content::read(&glance, name, stored, Some(&secret())),
            header: glance.header,
            metadata: glance.metadata,
        }
    }

    #[test]
    fn a_save_keeps_how_the_object_was_written() {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            for encrypted in [false, true] {
                let codec = Codec {
                    compression,
                    encrypted,
                    ..Codec::DEFAULT
                };
                let (origin, _) = made("a", "{:a 1}", codec);
                assert_eq!(origin.content, Content::Text("{:a 1}\n".into()));
                let bytes = Bytes::from_static(b" {:a 2} ; two");
                let plan = Plan::replace(&origin, None);
                let value = plan.parse(&bytes).unwrap();
                let sealed = plan
                    .seal(value.as_ref(), &bytes, 9, Some(&secret()), || [4; 64])
                    .unwrap();
                let again = read(&sealed.bytes, origin.object);
                assert_eq!(again.header.codec, codec);
                assert_eq!(again.content, Content::Text("{:a 2}\n".into()));
                assert_eq!(again.metadata.last_write(), Some(9));
                assert_eq!(sealed.header, again.header);
            }
        }
    }

    #[test]
    fn an_encrypted_value_never_becomes_a_plain_one() {
        let codec = Codec {
            encrypted: true,
            ..Codec::DEFAULT
        };
        let (hidden, _) = made("hidden", "1", codec);
        let (open, _) = made("open", "2", Codec::DEFAULT);
        let bytes = Bytes::from_static(b"3");
        for plan in [
            Plan::replace(&hidden, None),
            Plan::replace(&hidden, Some(&open)),
            Plan::replace(&open, Some(&hidden)),
            Plan::create(Value::Nil, Codec::DEFAULT, Some(&hidden)),
        ] {
            let value = plan.parse(&bytes).unwrap();
            let without = plan
                .clone()
                .seal(value.as_ref(), &bytes, 1, None, || [0; 64]);
            assert!(matches!(without, Err(Unsavable::ReadOnly(_))));
            let sealed = plan
                .seal(value.as_ref(), &bytes, 1, Some(&secret()), || [0; 64])
                .unwrap();
            assert_eq!(sealed.bytes[3], 1);
        }
    }

    #[test]
    fn text_that_is_not_one_form_says_where() {
        let plan = Plan::create(Value::Nil, Codec::DEFAULT, None);
        for (text, place) in [
            ("", "line 1, column 1"),
            ("{:a 1\n :a 2}", "line 2, column 2"),
            ("1\n2", "line 2, column 1"),
            ("{:a", "line 1, column"),
            ("#{1 1}", "line 1, column"),
        ] {
            let Err(Unsavable::Text(why)) = plan.parse(text.as_bytes()) else {
                panic!("{text}")
            };
            assert!(why.contains(place), "{text:?}: {why}");
        }
        let bad = plan.parse(b"{\n  \xff}");
        assert_eq!(
            bad,
            Err(Unsavable::Text("line 2, column 3: not UTF-8".to_owned()))
        );
    }

    #[test]
    fn a_renamed_file_takes_its_kind_and_metadata_along() {
        let (source, _) = made("a", "{:a 1}", Codec::DEFAULT);
        let plan = Plan::create(Value::keyword("b"), Codec::DEFAULT, Some(&source));
        let bytes = Bytes::from_static(b"{:a 1}\n");
        let value = plan.parse(&bytes).unwrap();
        let sealed = plan
            .seal(value.as_ref(), &bytes, 9, None, || [0; 64])
            .unwrap();
        assert_eq!(sealed.metadata.key(), &Value::keyword("b"));
        assert_eq!(sealed.metadata.last_write(), Some(9));
        let mut binary = source.clone();
        binary.content = Content::Binary;
        let plan = Plan::replace(&source, Some(&binary));
        assert_eq!(plan.parse(b"\xff"), Ok(None));
        let sealed = plan
            .seal(None, &Bytes::from_static(b"\xff"), 9, None, || [0; 64])
            .unwrap();
        assert_eq!(sealed.metadata.kind(), Some(Kind::Binary));
        assert_eq!(sealed.bytes.last(), Some(&0xff));
        let plan = Plan::create(Value::Nil, Codec::DEFAULT, None).binary();
        let sealed = plan
            .seal(None, &Bytes::from_static(b"\xfe"), 9, None, || [0; 64])
            .unwrap();
        assert_eq!(sealed.metadata.kind(), Some(Kind::Binary));
    }

    #[test]
    fn what_is_told_of_an_object_is_text() {
        let (origin, _) = made("a", "1", Codec::DEFAULT);
        let told = origin.attributes();
        let get = |name| {
            told.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_str())
        };
        assert_eq!(get("key"), Some(":a"));
        assert_eq!(get("type"), Some(":edn"));
        assert!(get("header").unwrap().starts_with("01010000"));
        assert!(get("last-write").unwrap().starts_with("#inst"));
    }
}

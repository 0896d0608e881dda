//! The blob: what an object of a konserve store holds.
//!
//! 20 bytes of header that say how the rest was written, the metadata, the value. It knows how to
//! take a blob apart and put it together, and the codecs its header names; nothing of requests.
//! [`Header`] is the layout, [`Codec`] the way between stored bytes and a value; `metadata.rs` has
//! what is known of a key without its value.
//!
//! The layout is that of konserve 0.6 and later, on S3 of every release of konserve-s3.

use thiserror::Error;

use super::aes::{self, EncryptionKey};
use super::compress::{self, Compression};
use super::cursor::Corrupt;
use super::value::Value;
use super::{cbor, edn, fressian};

/// How many bytes come before the metadata.
pub const HEADER_BYTES: usize = 20;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How metadata and value were written.
    pub codec: Codec,
    /// How many bytes of metadata are stored behind the header.
    pub metadata_bytes: u32,
}

/// How values become stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// What they are serialized to.
    pub serializer: Serializer,
    /// What that is compressed with.
    pub compression: Compression,
    /// Whether that is encrypted, with AES.
    pub encrypted: bool,
}

/// The first step from a value to stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serializer {
    /// EDN text. No JVM can have written any; read as such.
    Text,
    /// The default.
    Fressian,
    /// CBOR of the library clj-cbor; for reading only.
    CljCbor,
    /// CBOR of the library boring; for reading only.
    Boring,
}

/// Why a blob cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Not a header of konserve.
    #[error("not a konserve blob: {0}")]
    Header(&'static str),
    /// The blob is encrypted and nobody gave a key.
    #[error("encrypted, and no key is given")]
    NoKey,
    /// The key is wrong, or the bytes are.
    #[error("{0}")]
    Encryption(#[from] aes::Undecipherable),
    /// The compressed frame is damaged, or what is in it too large.
    #[error("{0}")]
    Compression(#[from] compress::Unpacked),
    /// Not Fressian.
    #[error("not Fressian, {0}")]
    Fressian(Corrupt),
    /// Not CBOR.
    #[error("not CBOR, {0}")]
    Cbor(Corrupt),
    /// Not EDN.
    #[error("not EDN: {0}")]
    Text(String),
}

/// Why a value cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unstorable {
    /// Fressian has no form for it.
    #[error("{0}")]
    Fressian(#[from] fressian::Unwritable),
    /// Values are not written with this serializer.
    #[error("values of this serializer are read, not written")]
    ReadOnly,
    /// The store is encrypted and nobody gave a key and a salt.
    #[error("encrypted, and no key is given")]
    NoKey,
    /// The compressor failed.
    #[error("cannot be compressed")]
    Compression,
    /// The metadata has no room in the header.
    #[error("the metadata is too large")]
    TooLarge,
}

impl Header {
    /// Reads the first bytes of an object; there may be more of them.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(Unreadable::Header("shorter than its header"));
        };
        let [
            version,
            serializer,
            compressor,
            encryptor,
            size @ ..,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
        ] = *header;
        if version != 1 {
            return Err(Unreadable::Header("unknown version"));
        }
        if header[8..].iter().any(|b| *b != 0) {
            return Err(Unreadable::Header("not zero where a header is"));
        }
        let serializer = match serializer {
            0 => Serializer::Text,
            1 => Serializer::Fressian,
            2 => Serializer::CljCbor,
            3 => Serializer::Boring,
            _ => return Err(Unreadable::Header("unknown serializer")),
        };
        let compression = match compressor {
            0 => Compression::None,
            1 => Compression::Lz4,
            2 => Compression::Zstd,
            _ => return Err(Unreadable::Header("unknown compressor")),
        };
        let encrypted = match encryptor {
            0 => false,
            1 => true,
            _ => return Err(Unreadable::Header("unknown encryptor")),
        };
        // ClojureScript wrote the size as one byte, and no metadata has 16 MiB.
        let metadata_bytes = match size {
            [n, 0, 0, 0] => u32::from(n),
            size => u32::from_be_bytes(size),
        };
        Ok(Self {
            codec: Codec {
                serializer,
                compression,
                encrypted,
            },
            metadata_bytes,
        })
    }

    /// The header's bytes.
    pub fn write(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 1;
        bytes[1] = match self.codec.serializer {
            Serializer::Text => 0,
            Serializer::Fressian => 1,
            Serializer::CljCbor => 2,
            Serializer::Boring => 3,
        };
        bytes[2] = match self.codec.compression {
            Compression::None => 0,
            Compression::Lz4 => 1,
            Compression::Zstd => 2,
        };
        bytes[3] = u8::from(self.codec.encrypted);
        bytes[4..8].copy_from_slice(&self.metadata_bytes.to_be_bytes());
        bytes
    }

    /// Where the value begins; the size of a binary value is that of the object less this.
    pub fn value_at(self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.metadata_bytes)
    }
}

/// An object taken apart; the parts are as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob<'a> {
    /// How the parts were written.
    pub codec: Codec,
    /// The metadata.
    pub metadata: &'a [u8],
    /// The value; of a binary one its very bytes.
    pub value: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Takes a whole object apart.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let header = Header::read(bytes)?;
        let value_at = usize::try_from(header.value_at()).unwrap_or(usize::MAX);
        match (bytes.get(HEADER_BYTES..value_at), bytes.get(value_at..)) {
            (Some(metadata), Some(value)) => Ok(Self {
                codec: header.codec,
                metadata,
                value,
            }),
            _ => Err(Unreadable::Header("shorter than its metadata")),
        }
    }

    /// The object of the parts.
    pub fn write(self) -> Result<Vec<u8>, Unstorable> {
        let header = Header {
            codec: self.codec,
            metadata_bytes: u32::try_from(self.metadata.len())
                .ok()
                // More would be read as ClojureScript's one byte.
                .filter(|n| *n < 1 << 24)
                .ok_or(Unstorable::TooLarge)?,
        };
        Ok([&header.write(), self.metadata, self.value].concat())
    }
}

impl Codec {
    /// What konserve writes unless it is told otherwise.
    pub const DEFAULT: Self = Self {
        serializer: Serializer::Fressian,
        compression: Compression::None,
        encrypted: false,
    };

    /// Stored bytes to a value: decipher, unpack, read. `limit` is how many bytes of memory each
    /// step may take.
    pub fn decode(
        self,
        stored: &[u8],
        key: Option<&EncryptionKey>,
        limit: usize,
    ) -> Result<Value, Unreadable> {
        let deciphered;
        let stored = match (self.encrypted, key) {
            (false, _) => stored,
            (true, None) => return Err(Unreadable::NoKey),
            (true, Some(key)) => {
                deciphered = key.decrypt(stored)?;
                &deciphered
            }
        };
        let unpacked = self.compression.unpack(stored, limit)?;
        match self.serializer {
            Serializer::Fressian => {
                fressian::decode(&unpacked, limit).map_err(Unreadable::Fressian)
            }
            Serializer::CljCbor | Serializer::Boring => {
                cbor::decode(&unpacked, limit).map_err(Unreadable::Cbor)
            }
            Serializer::Text => std::str::from_utf8(&unpacked)
                .map_err(|e| Unreadable::Text(e.to_string()))
                .and_then(|text| edn::read(text).map_err(|e| Unreadable::Text(e.to_string()))),
        }
    }

    /// A value to stored bytes. `secret` is the key and 64 random bytes that are used only once.
    pub fn encode(
        self,
        value: &Value,
        secret: Option<(&EncryptionKey, [u8; aes::SALT_BYTES])>,
    ) -> Result<Vec<u8>, Unstorable> {
        let serialized = match self.serializer {
            Serializer::Fressian => fressian::encode(value)?,
            _ => return Err(Unstorable::ReadOnly),
        };
        let packed = self
            .compression
            .pack(serialized)
            .map_err(|_| Unstorable::Compression)?;
        match (self.encrypted, secret) {
            (false, _) => Ok(packed),
            (true, None) => Err(Unstorable::NoKey),
            (true, Some((key, salt))) => Ok(key.encrypt(&packed, salt)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metadata::{Kind, Metadata};
    use crate::samples;

    const LIMIT: usize = 1 << 20;

    fn codecs() -> Vec<Codec> {
        let mut codecs = Vec::new();
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            for encrypted in [false, true] {
                codecs.push(Codec {
                    serializer: Serializer::Fressian,
                    compression,
                    encrypted,
                });
            }
        }
        codecs
    }

    fn key() -> EncryptionKey {
        EncryptionKey::new(edn::read("{:a [1 \"b\"]}").unwrap()).unwrap()
    }

    #[test]
    fn the_object_of_a_new_key_is_the_one_konserve_writes() {
        let metadata = Metadata::new(Value::keyword("foo"), &Kind::Edn, 1_795_252_606_896);
        let codec = Codec::DEFAULT;
        let metadata = codec.encode(&metadata.into_value(), None).unwrap();
        let value = codec.encode(&edn::read("{:a 1}").unwrap(), None).unwrap();
        let (metadata, value) = (&metadata[..], &value[..]);
        let blob = Blob {
            codec,
            metadata,
            value,
        };
        assert_eq!(
            hex::encode(blob.write().unwrap()),
            concat!(
                "0101000000000035000000000000000000000000",
                "c0eacaf7cddd6b6579caf7cddd666f6fcaf7cdde74797065caf7cddd65646e",
                "caf7cde30a6c6173742d7772697465c87ba1fd64d7b0",
                "c0e6caf7cddb6101"
            )
        );
    }

    #[test]
    fn a_header_of_another_kind_is_refused() {
        let good = Header {
            codec: Codec::DEFAULT,
            metadata_bytes: 300,
        }
        .write();
        assert_eq!(Header::read(&good).unwrap().value_at(), 320);
        for (at, byte) in [(0, 0), (0, 2), (1, 4), (2, 3), (3, 2), (8, 1), (19, 1)] {
            let mut bad = good;
            bad[at] = byte;
            assert!(
                matches!(Header::read(&bad), Err(Unreadable::Header(_))),
                "{at}"
            );
        }
        assert!(Header::read(&good[..19]).is_err());
        assert!(Blob::read(&good).is_err());
        let mut script = good;
        script[4..8].copy_from_slice(&[53, 0, 0, 0]);
        assert_eq!(Header::read(&script).unwrap().metadata_bytes, 53);
    }

    #[test]
    fn without_the_right_key_nothing_is_read_or_written() {
        let codec = Codec {
            encrypted: true,
            ..Codec::DEFAULT
        };
        let stored = codec
            .encode(&Value::Int(1), Some((&key(), [9; 64])))
            .unwrap();
        assert_eq!(codec.decode(&stored, None, LIMIT), Err(Unreadable::NoKey));
        assert_eq!(codec.encode(&Value::Nil, None), Err(Unstorable::NoKey));
        let other = EncryptionKey::new(Value::Nil).unwrap();
        assert_ne!(
            codec.decode(&stored, Some(&other), LIMIT),
            Ok(Value::Int(1))
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(value in samples::value(), salt in any::<[u8; 32]>()) {
            for codec in codecs() {
                let salt = std::array::from_fn(|n| salt[n % 32]);
                let stored = codec.encode(&value, Some((&key(), salt))).unwrap();
                prop_assert_eq!(codec.decode(&stored, Some(&key()), LIMIT), Ok(value.clone()));
            }
        }

        #[test]
        fn objects_of_any_kind_are_read_or_refused(header in 0..4u8, compressor in 0..3u8, encryptor in 0..2u8, size in any::<[u8; 2]>(), rest in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = vec![1, header, compressor, encryptor, 0, 0, size[0] & 1, size[1]];
            bytes.extend([0; 12]);
            bytes.extend(rest);
            if let Ok(blob) = Blob::read(&bytes) {
                let _ = blob.codec.decode(blob.metadata, Some(&key()), LIMIT).map(Metadata::from_value);
                let _ = blob.codec.decode(blob.value, Some(&key()), LIMIT);
                prop_assert_eq!(blob.write().unwrap().len(), bytes.len());
            }
        }
    }
}

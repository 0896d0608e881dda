//! A konserve program, made from the format: what konserve-s3 with `:optimistic-locking-retries` sends
//! for `assoc`, `update-in`, `bassoc` and `append`. Fressian, or whatever the object's header says.

use konserve_codec::aes::EncryptionKey;
use konserve_codec::blob::{Blob, Codec};
use konserve_codec::metadata::{Kind, Metadata};
use konserve_codec::{Value, edn, hasch};

use crate::world::client::{Client, Put};

const LIMIT: usize = 1 << 26;

/// A program that has one store open.
pub(super) struct Writer {
    pub(super) bucket: Client,
    pub(super) store: String,
    pub(super) codec: Codec,
    pub(super) secret: Option<EncryptionKey>,
}

/// A key as the program reads it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) codec: Codec,
    pub(super) metadata: Metadata,
    /// As stored.
    pub(super) stored: Vec<u8>,
    pub(super) etag: String,
}

pub(super) fn value(text: &str) -> Value {
    edn::read(text).unwrap()
}

impl Writer {
    /// Creates the store.
    pub(super) fn create(bucket: &Client, store: &str) -> Self {
        bucket.put(&format!("{store}_.konserve-metadata"), "konserve");
        Self::of(bucket, store)
    }

    /// Opens the store.
    pub(super) fn of(bucket: &Client, store: &str) -> Self {
        Self {
            bucket: bucket.clone(),
            store: store.to_owned(),
            codec: Codec::DEFAULT,
            secret: None,
        }
    }

    pub(super) fn object(&self, key: &Value) -> String {
        format!("{}_{}.ksv", self.store, hasch::uuid(key).unwrap())
    }

    fn encode(&self, codec: Codec, value: &Value) -> Vec<u8> {
        let salt = std::array::from_fn(|n| n as u8);
        codec
            .encode(value, self.secret.as_ref().map(|key| (key, salt)))
            .unwrap()
    }

    pub(super) fn blob(&self, codec: Codec, metadata: &Metadata, stored: &[u8]) -> Vec<u8> {
        let metadata = self.encode(codec, &metadata.clone().into_value());
        Blob {
            codec,
            metadata: &metadata,
            value: stored,
        }
        .write()
        .unwrap()
    }

    /// `(k/assoc store key value)`: no condition.
    pub(super) fn assoc(&self, key: &str, text: &str) -> String {
        let key = value(key);
        let metadata = Metadata::new(key.clone(), &Kind::Edn, 1_795_252_606_896);
        let stored = self.encode(self.codec, &value(text));
        self.bucket.put(
            &self.object(&key),
            self.blob(self.codec, &metadata, &stored),
        )
    }

    /// `(k/bassoc store key bytes)`.
    pub(super) fn bassoc(&self, key: &str, bytes: &[u8]) -> String {
        let key = value(key);
        let metadata = Metadata::new(key.clone(), &Kind::Binary, 1_795_252_606_896);
        self.bucket
            .put(&self.object(&key), self.blob(self.codec, &metadata, bytes))
    }

    /// The object of a key.
    pub(super) fn read(&self, key: &Value) -> Read {
        self.read_object(&self.object(key))
    }

    pub(super) fn read_object(&self, name: &str) -> Read {
        let object = self
            .bucket
            .get(name)
            .unwrap_or_else(|| panic!("{name} does not exist"));
        let blob = Blob::read(&object.bytes).unwrap();
        let metadata = blob
            .codec
            .decode(blob.metadata, self.secret.as_ref(), LIMIT)
            .unwrap();
        Read {
            codec: blob.codec,
            metadata: Metadata::from_value(metadata).unwrap(),
            stored: blob.value.to_vec(),
            etag: object.etag,
        }
    }

    pub(super) fn decode(&self, read: &Read) -> Value {
        read.codec
            .decode(&read.stored, self.secret.as_ref(), LIMIT)
            .unwrap()
    }

    /// `(k/get store key)`.
    pub(super) fn get(&self, key: &str) -> Value {
        self.decode(&self.read(&value(key)))
    }

    /// `(k/update store key f)` with optimistic locking: how often it was refused.
    pub(super) fn update(&self, key: &Value, f: impl Fn(Value) -> Value) -> usize {
        let mut refused = 0;
        loop {
            let mut read = self.read(key);
            let new = f(self.decode(&read));
            let now = read.metadata.last_write().unwrap() + 1;
            read.metadata.written(now);
            let blob = self.blob(read.codec, &read.metadata, &self.encode(read.codec, &new));
            match self
                .bucket
                .put_if_match(&self.object(key), blob, &read.etag)
            {
                Put::Saved(_) => return refused,
                Put::Refused(_) => refused += 1,
            }
        }
    }
}

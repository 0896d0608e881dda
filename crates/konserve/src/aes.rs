//! Encrypted blobs: AES-256-CBC under a key that is derived from any EDN value.
//!
//! Stored are 64 bytes of salt and the ciphertext, padded as in PKCS #7, not authenticated: a
//! wrong key is noticed by the padding or by what comes out not being a value. It knows of bytes
//! only; the salt is drawn by the caller. Binary values are stored in clear by konserve, only
//! their metadata is encrypted.

use std::fmt;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use thiserror::Error;

use super::hasch::{self, NotAKey};
use super::value::Value;

/// How many random bytes come before the ciphertext.
pub const SALT_BYTES: usize = 64;

/// The `:key` of a store's `:encryptor`: any value that hasch can hash.
#[derive(Clone)]
pub struct EncryptionKey(Value);

/// The bytes were not encrypted with this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cannot be decrypted: another key, or damaged")]
pub struct Undecipherable;

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}

impl EncryptionKey {
    /// The key that a value is.
    pub fn new(key: Value) -> Result<Self, NotAKey> {
        hasch::hash(&key).map(|_| Self(key))
    }

    /// AES key and initialization vector for a salt.
    fn derive(&self, salt: &[u8; SALT_BYTES]) -> Option<([u8; 32], [u8; 16])> {
        // Java's bytes are signed.
        let salt = salt.iter().map(|b| Value::Int((*b as i8).into())).collect();
        let salt = Value::List(salt);
        let hash = |purpose| {
            let seed = vec![Value::string(purpose), salt.clone(), self.0.clone()];
            hasch::hash(&Value::Vector(seed)).ok()
        };
        let key = *hash("key")?.first_chunk()?;
        let iv = *hash("initial-value")?.first_chunk()?;
        Some((key, iv))
    }

    /// Salt and ciphertext to bytes.
    pub fn decrypt(&self, stored: &[u8]) -> Result<Vec<u8>, Undecipherable> {
        let (salt, ciphertext) = stored.split_first_chunk().ok_or(Undecipherable)?;
        let (key, iv) = self.derive(salt).ok_or(Undecipherable)?;
        cbc::Decryptor::<Aes256>::new(&key.into(), &iv.into())
            .decrypt_padded_vec::<Pkcs7>(ciphertext)
            .map_err(|_| Undecipherable)
    }

    /// Bytes to salt and ciphertext.
    pub fn encrypt(&self, bytes: &[u8], salt: [u8; SALT_BYTES]) -> Vec<u8> {
        let (key, iv) = self.derive(&salt).expect("new() has hashed the key");
        let ciphertext = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into())
            .encrypt_padded_vec::<Pkcs7>(bytes);
        [&salt, &*ciphertext].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> EncryptionKey {
        EncryptionKey::new(Value::string("s3cr3t passphrase")).unwrap()
    }

    #[test]
    fn the_derivation_is_that_of_konserve() {
        let salt = std::array::from_fn(|n| 0x80 + n as u8);
        let (aes, iv) = key().derive(&salt).unwrap();
        assert_eq!(
            hex::encode(aes),
            "41a3e55408af956df5aab6df6ef380883f7b38d1d22fd21703314171bfdef39c"
        );
        assert_eq!(hex::encode(iv), "b04d71d41ce80e567ba0333f78ddc353");
        let stored = key().encrypt(b"hello konserve", salt);
        assert_eq!(
            hex::encode(&stored[64..]),
            "af2c7c9e8357e4de7b5425a0213ec3aa"
        );
    }

    #[test]
    fn another_key_or_damage_is_noticed_or_gives_other_bytes() {
        let stored = key().encrypt(b"hello konserve", [7; SALT_BYTES]);
        let other = EncryptionKey::new(Value::Int(1)).unwrap();
        assert_ne!(other.decrypt(&stored), Ok(b"hello konserve".to_vec()));
        for length in 0..stored.len() {
            assert_eq!(
                key().decrypt(&stored[..length]),
                Err(Undecipherable),
                "{length}"
            );
        }
        assert_eq!(format!("{:?}", key()), "EncryptionKey(..)");
        assert!(EncryptionKey::new(Value::JavaList(vec![])).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encrypted_is_decrypted(bytes in proptest::collection::vec(any::<u8>(), 0..200), salt in any::<[u8; 32]>()) {
            let salt = std::array::from_fn(|n| salt[n % 32]);
            prop_assert_eq!(key().decrypt(&key().encrypt(&bytes, salt)), Ok(bytes));
        }

        #[test]
        fn bytes_of_any_kind_are_decrypted_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = key().decrypt(&bytes);
        }
    }
}

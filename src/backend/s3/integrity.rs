//! Whether a body is what its ETag says: most ETags are the MD5 of the content.
//!
//! S3 promises that for objects written by one put and not encrypted with keys of KMS or of the
//! caller (API reference, "Object"); other servers do as they like. So a mismatch proves damage
//! only where ETags were seen to be digests; elsewhere it is a doubt that `read.rs` settles by
//! asking again. It knows no requests.

use std::sync::atomic::{AtomicU8, Ordering};

use aws_sdk_s3::types::ServerSideEncryption;
use md5::{Digest, Md5};

/// Puts up to this size show what a bucket's ETags are; larger ones are not worth the time.
const LESSON: usize = 64 * 1024;

/// What the ETags of a bucket were seen to be.
#[derive(Debug, Default)]
pub(super) struct Etags(AtomicU8);

const UNKNOWN: u8 = 0;
const DIGESTS: u8 = 1;
const NO_DIGESTS: u8 = 2;

/// What the ETag says of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nothing against it.
    Fine,
    /// It is no digest of the body, and nobody knows whether it should be.
    Doubtful,
    /// It should be the digest of the body and is not.
    Bad,
}

/// Whether the ETag of an object that is encrypted so can be a digest of its content.
pub(super) fn may_be_digest(
    encryption: Option<&ServerSideEncryption>,
    customer_algorithm: Option<&str>,
) -> bool {
    customer_algorithm.is_none() && matches!(encryption, None | Some(ServerSideEncryption::Aes256))
}

impl Etags {
    /// Judges a whole body by its ETag.
    pub(super) fn judge(&self, etag: &str, bytes: &[u8]) -> Judgement {
        let seen = self.0.load(Ordering::Relaxed);
        let Some(digest) = digest_of(etag).filter(|_| seen != NO_DIGESTS) else {
            return Judgement::Fine;
        };
        if is_md5(digest, bytes) {
            self.learn_once(DIGESTS);
            return Judgement::Fine;
        }
        match seen {
            DIGESTS => Judgement::Bad,
            _ => Judgement::Doubtful,
        }
    }

    /// Learns from the answer to a put of our own.
    pub(super) fn learn(&self, etag: &str, bytes: &[u8]) {
        if self.0.load(Ordering::Relaxed) == UNKNOWN && bytes.len() <= LESSON {
            let is_digest = digest_of(etag).is_some_and(|digest| is_md5(digest, bytes));
            self.learn_once(if is_digest { DIGESTS } else { NO_DIGESTS });
        }
    }

    /// Learns that an ETag that looks like a digest is none.
    pub(super) fn are_no_digests(&self) {
        self.0.store(NO_DIGESTS, Ordering::Relaxed);
    }

    fn learn_once(&self, seen: u8) {
        // The first lesson stays: failure means that there was one.
        let _ = self
            .0
            .compare_exchange(UNKNOWN, seen, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The digits of an ETag that looks like an MD5; those of multipart uploads do not.
fn digest_of(etag: &str) -> Option<&str> {
    let digits = etag.strip_prefix('"')?.strip_suffix('"')?;
    let looks = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    looks.then_some(digits)
}

fn is_md5(digits: &str, bytes: &[u8]) -> bool {
    let digest = Md5::digest(bytes);
    digest
        .iter()
        .zip(digits.as_bytes().chunks(2))
        .all(|(byte, pair)| {
            std::str::from_utf8(pair).is_ok_and(|pair| u8::from_str_radix(pair, 16) == Ok(*byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";

    #[test]
    fn a_mismatch_is_damage_only_where_etags_are_digests() {
        let etags = Etags::default();
        assert_eq!(etags.judge(EMPTY, b"not empty"), Judgement::Doubtful);
        assert_eq!(etags.judge(EMPTY, b""), Judgement::Fine);
        assert_eq!(etags.judge(EMPTY, b"not empty"), Judgement::Bad);
    }

    #[test]
    fn a_put_shows_what_etags_are() {
        let digests = Etags::default();
        digests.learn(EMPTY, b"");
        assert_eq!(digests.judge(EMPTY, b"not empty"), Judgement::Bad);
        let others = Etags::default();
        others.learn(EMPTY, b"not empty");
        assert_eq!(others.judge(EMPTY, b"not empty"), Judgement::Fine);
    }

    #[test]
    fn other_etags_say_nothing() {
        let etags = Etags::default();
        etags.learn(EMPTY, b"");
        for etag in [
            "\"d41d8cd98f00b204e9800998ecf8427e-2\"",
            "\"0x8DC\"",
            "d41d8cd98f00b204e9800998ecf8427e",
            "\"zz1d8cd98f00b204e9800998ecf8427e\"",
        ] {
            assert_eq!(etags.judge(etag, b"not empty"), Judgement::Fine, "{etag}");
        }
    }

    #[test]
    fn keys_of_kms_and_of_the_caller_make_other_etags() {
        assert!(may_be_digest(None, None));
        assert!(may_be_digest(Some(&ServerSideEncryption::Aes256), None));
        assert!(!may_be_digest(Some(&ServerSideEncryption::AwsKms), None));
        assert!(!may_be_digest(None, Some("AES256")));
    }
}

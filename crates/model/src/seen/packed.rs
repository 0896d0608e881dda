//! Versions in few bytes: the ETag of nearly every store is a number of 128 bits, as text.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::{Precondition, Version};
use super::slab::{Id, Slab};

/// A version, or that there is none. Equal if and only if the packed versions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) bits: [u64; 2],
    /// The number of parts of an object that was uploaded in parts.
    pub(super) parts: u16,
    pub(super) form: Packing,
}

/// How a version is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Absent,
    /// A quoted digest: 32 hexadecimal digits, and perhaps the number of parts.
    Digest,
    /// Any other text, as its number among [`Texts`].
    Text,
}

impl Packing {
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Absent => 0,
            Self::Digest => 1,
            Self::Text => 2,
        }
    }

    pub(super) fn of(number: u16) -> Self {
        match number {
            0 => Self::Absent,
            1 => Self::Digest,
            _ => Self::Text,
        }
    }
}

impl Packed {
    pub(super) const ABSENT: Self = Self {
        bits: [0; 2],
        parts: 0,
        form: Packing::Absent,
    };

    /// A version whose text is a digest in the usual spelling, from which the text can be made again.
    fn digest(etag: &str) -> Option<Self> {
        let text = etag.strip_prefix('"')?.strip_suffix('"')?;
        let (digest, parts) = match text.split_once('-') {
            Some((digest, parts)) => (digest, Some(parts)),
            None => (text, None),
        };
        let is_digest = digest.len() == 32
            && digest
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let bits = u128::from_str_radix(digest, 16)
            .ok()
            .filter(|_| is_digest)?;
        let parts = match parts {
            None => 0,
            Some(parts) if parts.starts_with(|c: char| matches!(c, '1'..='9')) => {
                parts.parse().ok()?
            }
            Some(_) => return None,
        };
        Some(Self {
            bits: [(bits >> 64) as u64, bits as u64],
            parts,
            form: Packing::Digest,
        })
    }

    fn text(&self) -> String {
        let [high, low] = self.bits;
        match self.parts {
            0 => format!("\"{high:016x}{low:016x}\""),
            parts => format!("\"{high:016x}{low:016x}-{parts}\""),
        }
    }
}

/// The versions that are not digests, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Arc<str>, Id>,
    texts: Slab<(Arc<str>, u32)>,
    bytes: usize,
}

/// The memory of a text besides its bytes: in the table of numbers, in the slab, and its counts.
const OF_A_TEXT: usize = 100;

impl Texts {
    /// How much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Packs a version, and keeps it.
    pub(super) fn pack(&mut self, expect: &Precondition) -> Packed {
        let Precondition::Is(version) = expect else {
            return Packed::ABSENT;
        };
        let etag = version.etag();
        if let Some(digest) = Packed::digest(etag) {
            return digest;
        }
        let id = match self.numbers.get(etag) {
            Some(id) => {
                self.texts.at(*id).1 += 1;
                *id
            }
            None => {
                let text: Arc<str> = etag.into();
                let id = self.texts.add((Arc::clone(&text), 1));
                self.bytes += text.len() + OF_A_TEXT;
                self.numbers.insert(text, id);
                id
            }
        };
        Packed {
            bits: [u64::from(id), 0],
            parts: 0,
            form: Packing::Text,
        }
    }

    /// A packed version is no longer kept.
    pub(super) fn drop(&mut self, packed: Packed) {
        if packed.form != Packing::Text {
            return;
        }
        let id = packed.bits[0] as Id;
        let (text, users) = self.texts.at(id);
        *users -= 1;
        if *users == 0 {
            let text = std::mem::replace(text, "".into());
            self.bytes -= text.len() + OF_A_TEXT;
            self.numbers.remove(&text);
            self.texts.remove(id);
        }
    }

    pub(super) fn unpack(&self, packed: Packed) -> Precondition {
        match packed.form {
            Packing::Absent => Precondition::Absent,
            Packing::Digest => Precondition::Is(Version::new(packed.text())),
            Packing::Text => {
                let (text, _) = self.texts.get(packed.bits[0] as Id);
                Precondition::Is(Version::new(Arc::clone(text)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_packed_version_is_the_same_to_the_last_character(
            etags in proptest::collection::vec(
                prop_oneof![
                    "\"[0-9a-f]{32}\"",
                    "\"[0-9a-f]{32}-[0-9]{0,6}\"",
                    "\"?[0-9a-fA-F]{30,33}-?[0-9+]?\"?",
                    "\\PC{0,8}",
                ],
                0..20,
            )
        ) {
            let mut texts = Texts::default();
            let packed: Vec<_> = etags
                .iter()
                .map(|etag| texts.pack(&Precondition::Is(Version::new(&**etag))))
                .collect();
            for (etag, one) in etags.iter().zip(&packed) {
                let version = Version::new(&**etag);
                prop_assert_eq!(texts.unpack(*one), Precondition::Is(version.clone()));
                prop_assert_eq!(texts.pack(&Precondition::Is(version)), *one);
                texts.drop(*one);
            }
            for one in packed {
                texts.drop(one);
            }
            prop_assert_eq!((texts.bytes(), texts.numbers.len()), (0, 0));
        }
    }

    #[test]
    fn the_digests_of_stores_take_no_text() {
        let mut texts = Texts::default();
        for etag in [
            "\"d41d8cd98f00b204e9800998ecf8427e\"",
            "\"d41d8cd98f00b204e9800998ecf8427e-1\"",
            "\"00000000000000000000000000000000-65535\"",
        ] {
            texts.pack(&Precondition::Is(Version::new(etag)));
        }
        assert_eq!(texts.bytes(), 0);
        texts.pack(&Precondition::Is(Version::new(
            "\"D41D8CD98F00B204E9800998ECF8427E\"",
        )));
        assert_ne!(texts.bytes(), 0);
    }
}

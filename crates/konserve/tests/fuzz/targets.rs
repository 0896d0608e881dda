//! One function for each thing that reads bytes from outside. What is read must also be what is
//! written back and read again.

use konserve_codec::aes::EncryptionKey;
use konserve_codec::compress::Compression;
use konserve_codec::file::{Content, Glanced, glance};
use konserve_codec::name::Spelling;
use konserve_codec::{Value, cbor, edn, fressian, log, object};
use uuid::Uuid;

/// How much memory a decoder may take for one input.
const LIMIT: usize = 16 << 20;

fn secret() -> EncryptionKey {
    EncryptionKey::new(Value::string("s3cr3t passphrase")).unwrap()
}

/// What was read has a text that means it, and a form in Fressian that means it.
fn comes_back(value: &Value) {
    let text = edn::print(value);
    let again = edn::read(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(format!("{again:?}"), format!("{value:?}"), "{text}");
    if let Ok(stored) = fressian::encode(value) {
        let again = fressian::decode(&stored, usize::MAX).unwrap();
        let twice = fressian::encode(&again).unwrap();
        assert_eq!(twice, stored, "{text}");
    }
}

pub(crate) fn fressian(input: &[u8]) {
    if let Ok(value) = fressian::decode(input, LIMIT) {
        comes_back(&value);
    }
}

pub(crate) fn cbor(input: &[u8]) {
    if let Ok(value) = cbor::decode(input, LIMIT) {
        comes_back(&value);
    }
}

pub(crate) fn edn(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(value) = edn::read(text)
    {
        comes_back(&value);
        let line = edn::print_line(&value);
        assert!(!line.contains('\n'), "{line}");
    }
}

pub(crate) fn object(input: &[u8]) {
    let secret = secret();
    let Ok(glanced) = glance(input, Some(&secret)) else {
        return;
    };
    let glance = match glanced {
        Glanced::All(glance) => glance,
        Glanced::Needs(more) => return assert!(more > input.len() as u64),
    };
    let at = usize::try_from(glance.header.value_at()).unwrap();
    let name = Uuid::from_u128(7);
    if let Content::Text(text) = Content::read(&glance, name, &input[at..], Some(&secret)) {
        edn::read(std::str::from_utf8(&text).unwrap()).unwrap();
    }
    let shown = Spelling::Bare.name(Some(glance.metadata.key()), name, false);
    assert_eq!(Spelling::Bare.read(&shown).unwrap().object, name);
}

pub(crate) fn compress(input: &[u8]) {
    for compression in [Compression::Lz4, Compression::Zstd] {
        if let Ok(bytes) = compression.unpack(input, LIMIT) {
            assert!(bytes.len() <= LIMIT);
        }
    }
}

pub(crate) fn aes(input: &[u8]) {
    let _ = secret().decrypt(input);
}

pub(crate) fn name(input: &[u8]) {
    let Ok(name) = std::str::from_utf8(input) else {
        return;
    };
    for spelling in [Spelling::Bare, Spelling::Edn] {
        if let Ok(asked) = spelling.read(name) {
            let again = spelling.name(asked.key.as_ref(), asked.object, asked.raw);
            let again = spelling.read(&again).unwrap();
            assert_eq!(
                (again.object, again.raw),
                (asked.object, asked.raw),
                "{name}"
            );
        }
    }
    let _ = object::role(name);
    let _ = object::read_registry(name);
}

pub(crate) fn log(input: &[u8]) {
    if let Ok(values) = log::appended(b"", input) {
        for value in values {
            comes_back(&value);
            let element = log::Element { next: None, value };
            let again = log::Element::of(&element.clone().into_value()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{element:?}"));
        }
    }
}

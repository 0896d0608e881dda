//! What travels with a plain value that nobody chose anything for: its media type.

use crate::backend::Meta;
use crate::model::Key;
use crate::store::Metadata;

/// What travels with a new value of this key.
pub(super) fn fresh(key: &Key) -> Metadata {
    Metadata::from(Meta {
        content_type: Some(content_type(key).to_owned()),
        ..Meta::default()
    })
}

/// Whether nobody chose what travels with a value of this key: it is what any new file gets, so
/// that a file whose name it takes may keep its own.
pub(super) fn is_default(metadata: &Metadata, key: &Key) -> bool {
    let ours = metadata.meta.content_type.as_deref();
    let says_nothing = ours.is_none_or(|ours| UNTYPED.contains(&ours) || ours == content_type(key));
    let rest = Meta {
        content_type: None,
        ..metadata.meta.clone()
    };
    says_nothing && rest == Meta::default()
}

/// With the media type of a new plain value, unless it has one.
pub(super) fn typed(metadata: &Metadata, key: &Key) -> Meta {
    let mut meta = metadata.meta.clone();
    meta.content_type
        .get_or_insert_with(|| content_type(key).to_owned());
    meta
}

/// What S3 and its clients say of a value whose type nobody told them.
const UNTYPED: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

/// The media type of a new value, by the ending of its key (W14). Only the types of text that
/// people edit and browsers show; everything else is what S3 itself would say.
fn content_type(key: &Key) -> &'static str {
    let ending = key.as_str().rsplit(['/', '.']).next().unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "txt" | "log" | "conf" | "ini" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "edn" => "application/edn",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "gz" => "application/gzip",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(content_type: Option<&str>, user: &[(&str, &str)]) -> Metadata {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Metadata {
            meta: Meta {
                content_type: content_type.map(str::to_owned),
                user: user.iter().map(owned).collect(),
                ..Meta::default()
            },
            ..Metadata::default()
        }
    }

    #[test]
    fn what_nobody_chose_is_default() {
        let key = Key::new("page.html").expect("a key");
        for (content_type, user, plain) in [
            (None, &[][..], true),
            (Some("text/html"), &[], true),
            (Some("binary/octet-stream"), &[], true),
            (Some("application/octet-stream"), &[], true),
            (Some("text/plain"), &[], false),
            (Some("text/html"), &[("colour", "red")], false),
        ] {
            let metadata = metadata(content_type, user);
            assert_eq!(is_default(&metadata, &key), plain, "{metadata:?}");
        }
        assert!(is_default(&fresh(&key), &key));
    }
}

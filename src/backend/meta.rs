//! What travels with an object's bytes.

use std::collections::BTreeMap;

use super::ObjectKey;

/// What travels with an object's bytes and survives an edit of them (W14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The media type, if one is known.
    pub content_type: Option<String>,
    /// `Cache-Control`, as stored.
    pub cache_control: Option<String>,
    /// `Content-Disposition`, as stored.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, as stored.
    pub content_encoding: Option<String>,
    /// `Content-Language`, as stored.
    pub content_language: Option<String>,
    /// `Expires`, as stored, which need not be a date.
    pub expires: Option<String>,
    /// Where the bucket's website redirects requests for the object.
    pub website_redirect: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// User metadata: names in lower case, without any protocol prefix, and without what
    /// etagfs puts beside them (W6).
    pub user: BTreeMap<String, String>,
}

/// The tags of an object. An answer to a read tells only whether there are some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// None.
    #[default]
    None,
    /// Those of this object, whatever they are by then: they are read when they are needed, see
    /// [`super::Backend::tags`].
    Of(ObjectKey),
    /// These, written as the query of a URL.
    Are(String),
}

impl Meta {
    /// The headers that are set, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("content_type", &self.content_type),
            ("cache_control", &self.cache_control),
            ("content_disposition", &self.content_disposition),
            ("content_encoding", &self.content_encoding),
            ("content_language", &self.content_language),
            ("expires", &self.expires),
            ("website_redirect", &self.website_redirect),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// The header of this name, if there is one.
    pub fn header_mut(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "content_type" => Some(&mut self.content_type),
            "cache_control" => Some(&mut self.cache_control),
            "content_disposition" => Some(&mut self.content_disposition),
            "content_encoding" => Some(&mut self.content_encoding),
            "content_language" => Some(&mut self.content_language),
            "expires" => Some(&mut self.expires),
            "website_redirect" => Some(&mut self.website_redirect),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_that_is_told_can_be_set() {
        let mut meta = Meta::default();
        let names = [
            "content_type",
            "cache_control",
            "content_disposition",
            "content_encoding",
            "content_language",
            "expires",
            "website_redirect",
        ];
        for name in names {
            *meta.header_mut(name).expect("a header") = Some(name.to_owned());
        }
        assert!(meta.headers().eq(names.map(|name| (name, name))));
        assert_eq!(meta.header_mut("user"), None);
    }
}

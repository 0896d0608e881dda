//! Tags: written with an object, as the query of a URL, and read apart from it. How many there are is a
//! header of every answer about the object.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use percent_encoding::percent_decode_str;
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::errors::refused;
use super::unsupported;
use crate::storage::Storage;

/// So many tags has an object at most.
const MOST: usize = 10;

/// Says how many there are.
const COUNT: HeaderName = HeaderName::from_static("x-amz-tagging-count");

/// The tags that a header gives.
pub(super) fn parse(header: Option<&str>) -> S3Result<BTreeMap<String, String>> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let decoded = percent_decode_str(&text).decode_utf8();
        decoded.map(String::from).map_err(|_| invalid())
    };
    let mut tags = BTreeMap::new();
    let pairs = header.unwrap_or_default().split('&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        if name.is_empty() || tags.insert(name, decoded(value)?).is_some() {
            return Err(invalid());
        }
    }
    match tags.len() <= MOST {
        true => Ok(tags),
        false => Err(s3_error!(
            InvalidTag,
            "Object tags cannot be greater than 10"
        )),
    }
}

fn invalid() -> s3s::S3Error {
    s3_error!(
        InvalidArgument,
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
         without tag name duplicates."
    )
}

/// The header that says how many there are, if there are any.
pub(super) fn count(tags: usize) -> HeaderMap {
    let told = (tags > 0).then(|| (COUNT, tags.into()));
    told.into_iter().collect()
}

/// GET of the tags.
pub(super) async fn get(
    storage: &Storage,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<GetObjectTaggingOutput> {
    unsupported::refuse(&request)?;
    let (bucket, key) = (request.input.bucket, request.input.key);
    let object = storage
        .read(move |snapshot| snapshot.object(&bucket, &key))
        .await
        .map_err(refused)?;
    let tags = object.attributes.tags.into_iter();
    Ok(GetObjectTaggingOutput {
        tag_set: tags
            .map(|(key, value)| Tag {
                key: Some(key),
                value: Some(value),
            })
            .collect(),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_query_without_names_that_are_there_twice() {
        let tags = parse(Some("team=a%20%26+b&empty=&gr%C3%B6%C3%9Fe=1")).unwrap();
        let expected = [("empty", ""), ("größe", "1"), ("team", "a & b")];
        assert!(tags.iter().map(|(a, b)| (&**a, &**b)).eq(expected));
        assert!(parse(None).unwrap().is_empty() && parse(Some("")).unwrap().is_empty());
        let many: Vec<_> = (0..11).map(|n| format!("t{n}=1")).collect();
        for bad in ["a=1&a=2", "=1", "a=%FF", &many.join("&")] {
            assert!(parse(Some(bad)).is_err(), "{bad}");
        }
    }
}

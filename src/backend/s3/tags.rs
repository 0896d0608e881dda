//! The tags of an object, in the form in which a PUT takes them. Which objects have some, the headers of
//! other answers say (`info.rs`).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::S3;
use super::failure::RequestFailure;
use crate::backend::{Error, ObjectKey};

impl S3 {
    /// [`crate::backend::Backend::tags`].
    pub(super) async fn tags_of(&self, at: &ObjectKey) -> Result<String, Error> {
        let request = self
            .reads
            .get_object_tagging()
            .bucket(&self.bucket)
            .key(at.as_str());
        match request.send().await {
            Ok(answer) => Ok(query(
                answer.tag_set().iter().map(|tag| (tag.key(), tag.value())),
            )),
            Err(error) => {
                let what = format!("the tags of {}", self.what(at));
                let failure = RequestFailure::of(error, true);
                Err(failure.of_read(what, &self.bucket, self.deadlines))
            }
        }
    }
}

/// Names and values as the query of a URL.
fn query<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs: Vec<_> = tags
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_any_text_are_one_query() {
        let tags = [("team", "a & b"), ("größe", "1+1=2"), ("empty", "")];
        assert_eq!(
            query(tags.into_iter()),
            "team=a%20%26%20b&gr%C3%B6%C3%9Fe=1%2B1%3D2&empty="
        );
    }
}

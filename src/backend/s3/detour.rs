//! 307: for some hours after a bucket was made, S3 may send its requests elsewhere.
//!
//! Whoever is sent has not been served, so `s3.rs` makes the request once more, and here it goes where it
//! was sent, signed for that server. So do others for a minute; then the first address is asked again
//! (S3 user guide, request redirection). It follows nobody but S3, and never from TLS to plain text.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use super::answer::REQUEST_ID;

/// How long requests go the other way before the first address is asked again.
const LASTS: Duration = Duration::from_secs(60);

/// Where requests are sent at present. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Detour(Arc<Mutex<Redirections>>);

#[derive(Debug, Default)]
struct Redirections {
    way: Option<(Redirection, Instant)>,
    /// How often requests were sent elsewhere.
    sent: u64,
}

/// The address that a request was sent to.
#[derive(Debug)]
struct SentTo(String);

impl Storable for SentTo {
    type Storer = StoreReplace<Self>;
}

/// What becomes of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Redirection {
    /// With the path before what is common to all addresses of the bucket.
    from: String,
    to: String,
}

impl Detour {
    /// How often requests were sent elsewhere.
    pub(super) fn sent(&self) -> u64 {
        self.state().sent
    }

    fn state(&self) -> MutexGuard<'_, Redirections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, asked: &str, location: &str) {
        let mut state = self.state();
        // From where a detour leads already, it leads on.
        let Some(way) = Redirection::between(asked, location) else {
            return;
        };
        let way = match &state.way {
            Some((known, _)) if known.to == way.from => Redirection {
                from: known.from.clone(),
                to: way.to,
            },
            _ => way,
        };
        state.sent += 1;
        state.way = Some((way, Instant::now() + LASTS));
    }

    fn apply(&self, address: &str) -> Option<String> {
        let mut state = self.state();
        let (way, end) = state.way.as_ref()?;
        if *end < Instant::now() {
            state.way = None;
            return None;
        }
        way.apply(address)
    }
}

impl Redirection {
    /// The way from one address of a thing to another one.
    fn between(asked: &str, location: &str) -> Option<Self> {
        let (scheme, rest) = asked.split_once("://")?;
        let (other_scheme, other_rest) = location.split_once("://")?;
        if other_scheme != scheme && (other_scheme, scheme) != ("https", "http") {
            return None;
        }
        let same = rest
            .bytes()
            .rev()
            .zip(other_rest.bytes().rev())
            .take_while(|(one, other)| one == other);
        let same = same.count();
        // What both have in common begins with the key, or is the whole path.
        let common = &rest[rest.len() - same..];
        let begins = common.find('/')?;
        let common = &common[begins..];
        let from = asked.strip_suffix(common)?;
        let to = location.strip_suffix(common)?;
        let is_bare = |address: &str| {
            let path = address.split_once("://").map_or("", |(_, rest)| rest);
            path.matches('/').count() <= 1 && !path.contains(['?', '#'])
        };
        (is_bare(from) && is_bare(to) && from != to).then(|| Self {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    fn apply(&self, address: &str) -> Option<String> {
        let rest = address.strip_prefix(&self.from)?;
        let is_whole = rest.is_empty() || rest.starts_with(['/', '?']);
        is_whole.then(|| format!("{}{rest}", self.to))
    }
}

impl Intercept for Detour {
    fn name(&self) -> &'static str {
        "detour"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(address) = self.apply(context.request().uri()) {
            context.request_mut().set_uri(address)?;
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let asked = SentTo(context.request().uri().to_owned());
        config.interceptor_state().store_put(asked);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let says = |name| answer.headers().get(name);
        if answer.status().as_u16() != 307 {
            return Ok(());
        }
        let body = answer.body().bytes().unwrap_or_default();
        let body = std::str::from_utf8(body).unwrap_or_default();
        let is_of_s3 =
            says(REQUEST_ID).is_some() || body.contains("<Code>TemporaryRedirect</Code>");
        if let Some(location) = says("location").filter(|_| is_of_s3)
            && let Some(SentTo(asked)) = config.load::<SentTo>()
        {
            self.follow(asked, location);
        }
        Ok(())
    }

    /// Nobody is there: the first address may know better.
    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Err(error)) = context.output_or_error()
            && error.is_connector_error()
        {
            self.state().way = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_from_all_addresses_of_a_bucket_to_others() {
        let young = "https://b.s3.amazonaws.com/a/k?x-id=GetObject";
        let there = "https://b.s3.eu-west-1.amazonaws.com/a/k?x-id=GetObject";
        let way = Redirection::between(young, there).unwrap();
        assert_eq!(way.apply(young).as_deref(), Some(there));
        assert_eq!(
            way.apply("https://b.s3.amazonaws.com/?list-type=2")
                .as_deref(),
            Some("https://b.s3.eu-west-1.amazonaws.com/?list-type=2")
        );
        assert_eq!(way.apply("https://other.s3.amazonaws.com/a/k"), None);
        assert_eq!(way.apply("https://b.s3.amazonaws.com.evil/a/k"), None);
    }

    #[test]
    fn a_bucket_in_the_path_may_get_into_the_host() {
        let way = Redirection::between("http://h/b/k", "https://b.h2:8/k").unwrap();
        assert_eq!(
            way.apply("http://h/b/l").as_deref(),
            Some("https://b.h2:8/l")
        );
        assert_eq!(
            way.apply("http://h/b?x").as_deref(),
            Some("https://b.h2:8?x")
        );
        assert_eq!(way.apply("http://h/bb/l"), None);
    }

    #[test]
    fn nobody_is_followed_to_something_else_or_into_plain_text() {
        for (asked, location) in [
            ("https://h/b/k", "http://h2/b/k"),
            ("https://h/b/k", "https://portal/login"),
            ("https://h/b/k", "https://portal/login?for=/b/k"),
            ("https://h/b/k", "https://h/b/k"),
            ("https://h/b/k", "/b/k"),
            ("https://h/b/k", "ftp://h2/b/k"),
            ("https://h/b/k", ""),
        ] {
            assert_eq!(Redirection::between(asked, location), None, "{location}");
        }
    }

    #[test]
    fn a_detour_of_a_detour_leads_from_the_first_address() {
        let detour = Detour::default();
        detour.follow("http://a/b/k", "http://c/b/k");
        detour.follow("http://c/b/k", "http://d/b/k");
        assert_eq!(
            detour.apply("http://a/b/l").as_deref(),
            Some("http://d/b/l")
        );
        assert_eq!(detour.sent(), 2);
    }
}

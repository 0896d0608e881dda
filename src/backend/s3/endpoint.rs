//! Where the server is: an option, a variable or a profile says it, or it is AWS.
//!
//! The URL may have a path: gateways serve S3 below one. It sends nothing. `connect.rs` builds the clients
//! with what is found here.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use crate::backend::{Cause, Why};

/// The variables that name it.
const VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

/// The endpoint that the environment names.
pub fn of_environment() -> Option<String> {
    VARIABLES
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
}

/// The endpoint, as whoever names it spells it; none for AWS. An option comes first, then what is said of
/// S3 alone, then what is said of all services, variables each time before the profile.
pub(super) fn find(option: Option<&str>, shared: &SdkConfig) -> Option<String> {
    if let Some(url) = option {
        return Some(url.to_owned());
    }
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url");
    let of_s3 = || {
        let services = shared.service_config()?;
        services.load_config(key.build().ok()?)
    };
    let url = of_s3().or_else(|| shared.endpoint_url().map(str::to_owned));
    url.filter(|url| !url.is_empty())
}

/// The URL as the SDK takes it: it puts the bucket right behind a path.
///
/// # Errors
/// It is no URL of a server.
pub(super) fn normal(url: &str) -> Result<String, Why> {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let Some(scheme) = scheme else {
        return Err(wrong(match url {
            "" => "the endpoint is empty".to_owned(),
            url => format!("the endpoint {url} does not begin with http:// or https://"),
        }));
    };
    if url.contains(['?', '#']) {
        return Err(wrong(format!("the endpoint {url} has more than a path")));
    }
    let (authority, path) = match url[scheme.len()..].split_once('/') {
        Some((authority, path)) => (authority, path.trim_matches('/')),
        None => (&url[scheme.len()..], ""),
    };
    if authority.is_empty() {
        return Err(wrong(format!("the endpoint {url} names no server")));
    }
    Ok(match path {
        "" => format!("{scheme}{authority}"),
        path => format!("{scheme}{authority}/{path}/"),
    })
}

fn wrong(words: String) -> Why {
    Why::because(Cause::EndpointUrl, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_have_a_path_which_ends_with_a_slash() {
        for (url, normal_url) in [
            ("http://h:1", "http://h:1"),
            ("http://h:1/", "http://h:1"),
            ("HTTPS://h", "https://h"),
            ("https://h/storage/v1/s3", "https://h/storage/v1/s3/"),
            ("https://h/storage/v1/s3/", "https://h/storage/v1/s3/"),
            ("https://h//s3//", "https://h/s3/"),
            ("http://[::1]:9000/s3", "http://[::1]:9000/s3/"),
        ] {
            assert_eq!(normal(url).ok().as_deref(), Some(normal_url), "{url}");
        }
        for bad in [
            "",
            "h:9000",
            "ftp://h",
            "http://",
            "http:///s3",
            "http://h?x",
            "http://h/#s3",
        ] {
            assert!(normal(bad).is_err(), "{bad}");
        }
    }
}

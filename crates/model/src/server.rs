//! Which server a bucket is on: each server has its own buckets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The server that a mount or a command talks to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its URL; none for AWS itself.
    pub endpoint: Option<String>,
    /// The region that requests are signed for, if there is one.
    pub region: Option<String>,
}

impl Server {
    /// No server: what is in memory.
    pub const NONE: Self = Self {
        endpoint: None,
        region: None,
    };

    /// Whether it has the same buckets. The region does not matter: names of buckets are unique in AWS.
    pub fn is_same(&self, other: &Self) -> bool {
        let spelled = |server: &Self| {
            let url = server.endpoint.as_deref()?.trim_end_matches('/');
            // Case may matter in the path, but not in the host.
            let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            Some((scheme.to_lowercase(), host.to_lowercase(), path.to_owned()))
        };
        spelled(self) == spelled(other)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.endpoint, &self.region) {
            (Some(url), _) => f.write_str(url),
            (None, Some(region)) => write!(f, "AWS in {region}"),
            (None, None) => f.write_str("AWS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_may_be_spelled_in_several_ways_and_regions_of_aws_share_their_names() {
        let at = |url: &str, region: &str| Server {
            endpoint: (!url.is_empty()).then(|| url.to_owned()),
            region: Some(region.to_owned()),
        };
        for (one, other, is_same) in [
            ("http://h:1", "HTTP://H:1/", true),
            ("http://h/s3", "http://h/s3/", true),
            ("http://h/s3", "http://h/S3", false),
            ("http://h:1", "http://h:2", false),
            ("http://h:1", "https://h:1", false),
            ("", "http://h:1", false),
            ("", "", true),
        ] {
            let (one, other) = (at(one, "eu-west-1"), at(other, "us-east-1"));
            assert_eq!(one.is_same(&other), is_same, "{one} {other}");
        }
    }
}

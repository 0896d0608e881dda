//! What a web page of somebody else's must not do: a browser on this machine sends any page's
//! requests to loopback addresses too.
//!
//! A server that asks for no key is protected by three headers that a page cannot choose: `Origin` and
//! `Sec-Fetch-Site` say which page asks (Fetch standard, Fetch Metadata), and `Host` says by which name
//! the browser found this server, which is a foreign one after DNS rebinding. It knows headers only.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, ORIGIN};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers
        .get(name)
        .map(|value| value.to_str().unwrap_or_default())
}

/// Refuses a request under a name that is not one of this machine: a browser that was led here by
/// DNS rebinding sends it. `listen` is where the server listens.
///
/// # Errors
/// A sentence for the client. The status that fits is 403.
pub fn refuse_foreign_names(headers: &HeaderMap, listen: SocketAddr) -> Result<(), String> {
    match text(headers, HOST) {
        Some(host) if !is_ours(host_name(host), listen.ip()) => Err(format!(
            "{host:?} is not an address of this server: use {listen}"
        )),
        _ => Ok(()),
    }
}

/// Refuses a request that a web page of another site sent.
///
/// # Errors
/// A sentence for the client. The status that fits is 403.
pub fn refuse_pages(headers: &HeaderMap) -> Result<(), String> {
    if let Some(site) = text(headers, FETCH_SITE)
        && !matches!(site, "none" | "same-origin")
    {
        return Err("a web page of another site may not use this server".to_owned());
    }
    if let Some(origin) = text(headers, ORIGIN)
        && !is_same(origin, text(headers, HOST).unwrap_or_default())
    {
        return Err(format!("a web page of {origin:?} may not use this server"));
    }
    Ok(())
}

/// An origin is a scheme, a host and a port; the page of this server itself has ours.
fn is_same(origin: &str, host: &str) -> bool {
    let found = origin.split_once("://").map(|(_, found)| found);
    found.is_some_and(|found| found.eq_ignore_ascii_case(host))
}

/// `HOST[:PORT]` without the port.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether a browser that used this name was not led here by somebody else's name server: loopback
/// addresses and `localhost` mean this machine; an address that was listened on means itself. Who
/// listens on all addresses has many, and an address is never rebound.
fn is_ours(name: &str, listen: IpAddr) -> bool {
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || listen.is_unspecified() || address == listen,
        Err(_) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(listen: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let listen = listen.parse().unwrap();
        refuse_pages(&headers).is_ok() && refuse_foreign_names(&headers, listen).is_ok()
    }

    #[test]
    fn programs_and_pages_of_this_server_are_served() {
        let at = "127.0.0.1:9000";
        assert!(allowed(at, &[]));
        for host in [
            "127.0.0.1:9000",
            "localhost:9000",
            "[::1]:9000",
            "bucket.localhost",
            "LOCALHOST.",
        ] {
            assert!(allowed(at, &[("host", host)]), "{host}");
        }
        let page = [
            ("host", "127.0.0.1:9000"),
            ("origin", "http://127.0.0.1:9000"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(allowed(at, &page));
        assert!(allowed(
            at,
            &[("host", "127.0.0.1:9000"), ("sec-fetch-site", "none")]
        ));
    }

    #[test]
    fn pages_of_others_are_not() {
        let at = "127.0.0.1:9000";
        for origin in [
            "http://evil.test",
            "null",
            "http://127.0.0.1:8000",
            "",
            "http://127.0.0.1:9000.evil.test",
        ] {
            let headers = [("host", "127.0.0.1:9000"), ("origin", origin)];
            assert!(!allowed(at, &headers), "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            let headers = [("host", "127.0.0.1:9000"), ("sec-fetch-site", site)];
            assert!(!allowed(at, &headers), "{site}");
        }
    }

    #[test]
    fn a_name_that_others_can_point_here_is_refused() {
        for host in [
            "evil.test:9000",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "",
            "10.0.0.7:9000",
        ] {
            assert!(!allowed("127.0.0.1:9000", &[("host", host)]), "{host}");
        }
        assert!(allowed("10.0.0.7:9000", &[("host", "10.0.0.7:9000")]));
        assert!(allowed("0.0.0.0:9000", &[("host", "10.0.0.7:9000")]));
        assert!(!allowed("0.0.0.0:9000", &[("host", "evil.test:9000")]));
    }
}

//! Each failure leads down to the error that it comes of, and its hint is that of the cause, whatever the words
//! say.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::hints::ALL;
use super::*;
use crate::backend::s3::{Credentials, S3Config};
use crate::backend::{Backend as _, ByteRange, Deadlines, ObjectKey, ReadCondition, S3, Why};
use crate::client;

/// A server that does this with each connection, until the test is over.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

/// A port that nothing listens on.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// A server whose certificate nobody has signed but itself.
fn unsigned() -> SocketAddr {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("a configuration");
    let config = Arc::new(config);
    server(move |connection| {
        let tls = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        // It ends with the alert of the client.
        let _ = StreamOwned::new(tls, connection).read(&mut [0]);
    })
}

/// A server that takes no keys.
fn expired() -> SocketAddr {
    server(|mut connection| {
        let body = "<Error><Code>ExpiredToken</Code><Message>no</Message></Error>";
        let _ = connection.read(&mut [0; 16 * 1024]);
        let _ = write!(
            connection,
            "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
    })
}

/// The failure of a read there, by way of all layers.
fn failure(url: &str) -> Failure {
    let mut config = S3Config::new("b");
    config.endpoint_url = Some(url.to_owned());
    config.read_attempts = 1;
    let authority = rcgen::generate_simple_self_signed(["other".to_owned()]).expect("another");
    let bundle = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(bundle.path(), authority.cert.pem()).expect("written");
    config.network.ca_bundle = Some(bundle.path().to_owned());
    config.deadlines = Deadlines {
        operation: Duration::from_secs(30),
        ..Deadlines::default()
    };
    config.credentials = Credentials::Keys {
        id: "id".into(),
        secret: "secret".into(),
        token: None,
    };
    let runtime = crate::cli::runtime().expect("a runtime");
    let read = async {
        let s3 = S3::connect(config).await.expect("a good configuration");
        let key = ObjectKey::new("k");
        // The answer to a HEAD has no body that could tell a code.
        s3.get(&key, &ReadCondition::Newest, ByteRange::UpTo(1))
            .await
    };
    let error = runtime.block_on(read).expect_err("it failed");
    client::Error::from(error).into()
}

/// An error and those below it. An `io::Error` hides the one that it holds from `source`.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let below = |&error: &&'a (dyn Error + 'static)| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    };
    std::iter::successors(Some(error), below).collect()
}

fn find<E: Error + 'static>(failure: &Failure) -> Option<&E> {
    chain(failure)
        .into_iter()
        .find_map(|error| error.downcast_ref())
}

/// How a chain of errors is known.
type Is = fn(&Failure) -> bool;

#[test]
fn a_failure_leads_down_to_the_error_that_it_comes_of() {
    let refused: Is = |failure| {
        let io = find::<std::io::Error>(failure);
        io.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    let unknown: Is = |failure| {
        let io = find::<std::io::Error>(failure);
        io.is_some_and(|error| error.kind() != ErrorKind::ConnectionRefused)
    };
    let untrusted: Is = |failure| {
        let tls = find::<rustls::Error>(failure);
        matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
    };
    // The client library's type for all errors of a service shows the code of this one.
    let denied: Is = |failure| {
        let last = chain(failure).pop();
        last.is_some_and(|error| format!("{error:?}").contains("ExpiredToken"))
    };
    for (url, cause, is_at_the_bottom) in [
        (
            format!("http://{}", closed()),
            Cause::NothingListens,
            refused,
        ),
        ("http://s3.invalid".to_owned(), Cause::NoSuchHost, unknown),
        (
            format!("https://{}", unsigned()),
            Cause::Certificate,
            untrusted,
        ),
        (format!("http://{}", expired()), Cause::Expired, denied),
    ] {
        let failure = failure(&url);
        let chain = chain(&failure);
        assert!(chain[1].is::<client::Error>(), "{url}: {chain:#?}");
        assert!(chain[2].is::<store::Error>(), "{url}: {chain:#?}");
        assert!(chain[3].is::<backend::Error>(), "{url}: {chain:#?}");
        assert!(is_at_the_bottom(&failure), "{url}: {chain:#?}");
        let backend = find::<backend::Error>(&failure);
        assert_eq!(
            backend.and_then(backend::Error::cause),
            Some(&cause),
            "{url}"
        );
        assert_eq!(
            failure.hint.as_deref(),
            Some(&*Trouble::from(&cause).hint()),
            "{url}"
        );
    }
}

#[test]
fn a_full_disk_is_at_the_bottom_of_its_failure() {
    let full = || std::fs::write("/dev/full", "x").expect_err("it is full");
    let why = Why::because(Cause::TemporaryFile, "no room").over(full());
    for failure in [
        Failure::from(full()),
        client::Error::from(full()).into(),
        client::Error::from(store::Error::Failed(why)).into(),
    ] {
        let disk = find::<std::io::Error>(&failure).map(std::io::Error::kind);
        assert_eq!(disk, Some(ErrorKind::StorageFull), "{failure:?}");
    }
}

#[test]
fn the_cause_chooses_the_hint_and_no_word_does() {
    let words: String = ALL
        .iter()
        .map(|cause| {
            format!(
                "{cause:?} {} ExpiredToken dns error. ",
                Trouble::from(cause).hint()
            )
        })
        .collect();
    for cause in ALL.iter() {
        let why = || Why::because(cause.clone(), &*words);
        for error in [
            store::Error::Denied(why()),
            store::Error::Failed(why()),
            store::Error::Deadline(why()),
        ] {
            let hint = Failure::from(error).hint;
            assert_eq!(hint.as_deref(), Some(&*Trouble::from(cause).hint()));
        }
    }
    // Without a cause, the kind of the error does.
    let hint = |words: &str| Failure::from(store::Error::Failed(words.into())).hint;
    assert!(hint(&words).is_some());
    assert_eq!(hint(&words), hint("no"));
}

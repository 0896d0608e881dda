//! The foreign client says what an independent server says.

use crate::world::client::Put;
use crate::world::servers::{self, Kind};

#[test]
fn the_client_sees_what_it_stored() {
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let client = bucket.client();
    assert_eq!(client.get("none"), None);
    assert_eq!(client.head("none"), None);

    let etag = client.put_with(
        "a key/+ \u{e4}%2F",
        "value",
        "text/x-test",
        &[("who", "me")],
    );
    let object = client.get("a key/+ \u{e4}%2F").unwrap();
    assert_eq!((object.text(), object.size), ("value", 5));
    assert_eq!(object.etag, etag);
    assert_eq!(object.content_type.as_deref(), Some("text/x-test"));
    assert_eq!(object.metadata["who"], "me");
    assert!(object.modified > 1_600_000_000);
    let head = client.head("a key/+ \u{e4}%2F").unwrap();
    assert_eq!(
        (head.size, head.etag, head.metadata),
        (5, etag, object.metadata)
    );

    client.delete("a key/+ \u{e4}%2F");
    assert_eq!(client.keys(), Vec::<String>::new());
}

#[test]
fn a_listing_of_several_pages_is_whole() {
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let client = bucket.client();
    let keys: Vec<_> = (0..1100).map(|n| format!("key-{n:04}")).collect();
    for key in &keys {
        client.put(key, "");
    }
    assert_eq!(client.keys(), keys);
    assert_eq!(client.list("key-109").len(), 10);
}

#[test]
fn a_refused_put_is_an_answer_not_a_failure() {
    let client = or_skip!(servers::shared(Kind::Ministack)).bucket().client();
    let first = client.put_if_absent("key", "1").saved();
    assert_eq!(client.put_if_absent("key", "2"), Put::Refused(412));
    let second = client.put_if_match("key", "2", &first).saved();
    assert_eq!(client.put_if_match("key", "3", &first), Put::Refused(412));
    assert_eq!(client.get("key").unwrap().etag, second);
    assert_eq!(client.text("key"), "2");
}

//! Things that only one of many may do: make a store, make a directory, create a key. The portable
//! locks (W15).

use std::thread;

use serde_json::{Value, json};
use uuid::Uuid;

use super::actor::Actor;
use crate::world::client::Put;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::report;
use crate::world::servers::{self, Kind};

const ROUNDS: usize = 10;

/// Lets all actors do the same at the same time; each one's result.
pub(super) fn at_once(actors: &mut [Actor], call: &Value) -> Vec<Result<Value, String>> {
    for actor in &mut *actors {
        actor.begin(call);
    }
    actors.iter_mut().map(Actor::end).collect()
}

/// One is granted, all others hear one of these errors.
#[track_caller]
pub(super) fn only_one(results: &[Result<Value, String>], refusals: &[&str]) {
    let granted = results.iter().filter(|result| result.is_ok()).count();
    let refused = |result: &Result<Value, String>| match result {
        Ok(_) => true,
        Err(errno) => refusals.contains(&errno.as_str()),
    };
    assert!(
        granted == 1 && results.iter().all(refused),
        "one must win: {results:?}"
    );
}

/// Four processes on two mounts.
pub(super) fn four(mounts: &[Mounted; 2]) -> Vec<Actor> {
    let twice = mounts.iter().chain(mounts);
    twice.map(|mount| Actor::within(mount.path())).collect()
}

fn one_of_four_makes_a_directory(kind: Kind) {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(kind)).bucket();
    let mounts = [Mount::of(&bucket).start(), Mount::of(&bucket).start()];
    let mut actors = four(&mounts);
    for _ in 0..ROUNDS {
        let store = Uuid::new_v4().to_string();
        only_one(&at_once(&mut actors, &json!(["mkdir", store])), &["EEXIST"]);
        let lock = format!("{store}/lock");
        only_one(&at_once(&mut actors, &json!(["mkdir", lock])), &["EEXIST"]);
        let mut keys = bucket.client().keys();
        keys.retain(|key| key.starts_with(&store));
        keys.sort();
        assert_eq!(keys, [format!("{store}/"), format!("{lock}/")]);
    }
}

#[test]
fn one_of_four_makes_a_store_and_a_directory_on_the_embedded_server() {
    one_of_four_makes_a_directory(Kind::Embedded);
}

#[test]
fn one_of_four_makes_a_store_and_a_directory_on_ministack() {
    one_of_four_makes_a_directory(Kind::Ministack);
}

/// SeaweedFS 4.48 does not keep `If-None-Match: *` for keys that end with `/` when several come at
/// once (it does for all other keys, see below): a foreign client shows it without any mount. There
/// `mkdir` is no lock, and this says how often.
#[test]
fn seaweedfs_grants_a_marker_to_several_and_a_key_to_one() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Seaweed)).bucket();
    let granted = |key: &str| {
        let puts: Vec<_> = (0..4)
            .map(|_| {
                let (client, key) = (bucket.client(), key.to_owned());
                thread::spawn(move || client.put_if_absent(&key, ""))
            })
            .collect();
        let puts = puts.into_iter().map(|put| put.join().unwrap());
        puts.filter(|put| matches!(put, Put::Saved(_))).count()
    };
    let markers: Vec<_> = (0..ROUNDS)
        .map(|n| granted(&format!("marker-{n}/")))
        .collect();
    let keys: Vec<_> = (0..ROUNDS).map(|n| granted(&format!("key-{n}"))).collect();
    report::append_line(
        "exclusive",
        &format!("SeaweedFS, winners of 4 creates at once: markers {markers:?}, keys {keys:?}"),
    );
    assert_eq!(keys, [1; ROUNDS]);
    assert!(markers.iter().all(|winners| *winners >= 1));
}

/// Creation is exclusive in its result on every server.
fn one_of_four_creates_a_key(kind: Kind) {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(kind)).bucket();
    let start = || Mount::of(&bucket).flat().start();
    let mounts = [start(), start()];
    let mut actors = four(&mounts);
    for round in 0..ROUNDS {
        let key = format!("lock-{round}");
        let results = at_once(&mut actors, &json!(["create", key]));
        only_one(&results, &["EEXIST", "EAGAIN"]);
        // The one that was told so is the one whose text is there.
        let winner = actors
            .iter()
            .zip(&results)
            .find_map(|(actor, result)| result.is_ok().then_some(actor.pid()));
        assert_eq!(bucket.client().text(&key), winner.unwrap().to_string());
    }
}

#[test]
fn one_of_four_creates_a_key_and_the_others_hear_eexist_or_eagain_on_the_embedded_server() {
    one_of_four_creates_a_key(Kind::Embedded);
}

#[test]
fn one_of_four_creates_a_key_and_the_others_hear_eexist_or_eagain_on_ministack() {
    one_of_four_creates_a_key(Kind::Ministack);
}

#[test]
fn one_of_four_creates_a_key_and_the_others_hear_eexist_or_eagain_on_seaweedfs() {
    one_of_four_creates_a_key(Kind::Seaweed);
}

//! Buckets with Object Lock refuse a put that tells no checksum of its body.

use super::{Ground, is_lived_with};
use crate::world::mounts;
use crate::world::proxy::Op;
use crate::world::proxy::habit::Odd;

#[test]
fn every_put_tells_a_checksum_of_its_body() {
    or_skip!(mounts::possible());
    let ground = or_skip!(Ground::with(&[Odd::DemandsChecksum]));
    let found = ground.probe();
    assert_eq!(found["conditional"], "full", "{found}");
    is_lived_with(&ground);
    // Of a store, of nothing, and of more than is sent at once.
    ground.says(
        "etagfs stores create $B > /dev/null; : | etagfs put $S/empty > /dev/null; \
         head -c 20000000 /dev/urandom | etagfs put $S/large > /dev/null; etagfs rm $S/empty $S/large",
    );
    let puts = ground.proxy.log().of(Op::Put);
    let bare = puts
        .iter()
        .filter(|put| put.header("content-md5").is_none());
    assert_eq!(bare.count(), 0);
    let refused = puts.iter().filter(|put| put.status == Some(400));
    assert_eq!(refused.count(), 0);
    println!("{} puts, each with a checksum", puts.len());
}

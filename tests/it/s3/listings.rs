//! Listings of a store that is sick: an error, never a part of the names.

use etagfs::backend::{After, Backend, ListQuery};

use super::{Rig, no_route};
use crate::world::proxy::{Fault, Op, When};

fn everything() -> ListQuery {
    ListQuery {
        prefix: String::new(),
        fold: true,
        after: After::Start,
        limit: 1000,
    }
}

#[test]
fn a_listing_that_is_damaged_or_denied_is_no_empty_listing() {
    let rig = or_skip!(Rig::new());
    rig.other.put("key", "value");
    let list = || rig.runtime.block_on(rig.s3.list(&everything()));
    let cut = |left: f64| {
        Fault::edit(move |_, body| {
            let left = (body.len() as f64 * left) as usize;
            body.truncate(left);
        })
    };
    let emptied = Fault::edit(|_, body| {
        let text = std::str::from_utf8(body).unwrap();
        let start = text.find("<Contents>").unwrap();
        body.truncate(start);
    });
    for fault in [
        Fault::access_denied(),
        Fault::slow_down(),
        Fault::CutBody,
        Fault::GarbageBody,
        Fault::garbage(),
        Fault::Answer(404, "NoSuchBucket"),
        cut(0.0),
        cut(0.3),
        cut(0.9),
        emptied,
        no_route(),
    ] {
        let label = format!("{fault:?}");
        rig.proxy.heal();
        rig.proxy.inject(When::op(Op::List), fault);
        let listed = list();
        assert!(listed.is_err(), "{label}: {listed:?}");
    }
    rig.proxy.heal();
    assert_eq!(list().unwrap().objects.len(), 1);
}

#[test]
fn a_listing_that_breaks_off_is_asked_for_again() {
    let rig = or_skip!(Rig::new());
    rig.other.put("key", "value");
    let cut = Fault::edit(|_, body| body.truncate(body.len() - 1));
    rig.proxy.inject(When::op(Op::List).once(), cut);
    let listed = rig.runtime.block_on(rig.s3.list(&everything())).unwrap();
    assert_eq!(listed.objects.len(), 1);
    assert_eq!(rig.proxy.log().counts().of(Op::List), 2);
}

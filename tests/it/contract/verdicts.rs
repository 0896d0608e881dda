//! What the probe says of each backend, and that it leaves nothing behind.

use etagfs::backend::S3;
use etagfs::backend::probe::{Conditional, probe};

use super::ground::{Ground, List};
use super::subjects::config;
use crate::world::servers::{self, Kind};

pub(super) async fn the_probe_finds_it_trustworthy(g: Ground) {
    let found = probe(g.backend.as_ref(), &g.prefix).await.unwrap();
    assert_eq!(found.conditional, Conditional::Full);
    assert!(found.keeps_put_id && found.lists_versions, "{found:?}");
    assert_eq!(found.left_behind, None);
    assert!(g.names(&List::ALL).await.objects.is_empty());
}

#[test]
fn a_server_that_ignores_conditions_is_refused_by_the_probe() {
    let bucket = or_skip!(servers::shared(Kind::S3rver)).bucket();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found = runtime.block_on(async {
        let s3 = S3::connect(config(&bucket)).await.unwrap();
        probe(&s3, "p/").await.unwrap()
    });
    let Conditional::None { why } = &found.conditional else {
        panic!("{found:?}");
    };
    assert!(why.contains("If-None-Match"), "{why}");
    assert_eq!(found.left_behind, None);
    assert!(bucket.client().keys().is_empty());
}

//! A store that hangs, fails, denies or lies, behind a real mount (R3, W11, A1, A5): every call returns
//! in time with an errno that says what is known, no byte is lost, and after the store has recovered
//! the mount is as good as new. What goes wrong is in `faults`, who dies while it does in `kills`, who
//! stands behind others in `queues`, and who would take their places in `places`.

mod faults;
mod kills;
mod places;
mod queues;

use std::time::Duration;

use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::proxy::Proxy;
use crate::world::servers::{self, Kind};

/// What the mounts here are told with `--deadline`.
const DEADLINE: Duration = Duration::from_secs(3);

/// The limit of a large value here: larger ones are read in pieces.
const INLINE: usize = 64 * 1024;

struct World {
    other: Client,
    proxy: Proxy,
    mount: Mounted,
}

impl World {
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Ministack)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let mount = Mount::of(&bucket)
            .through(&proxy)
            .flat()
            .arg(format!("--deadline={}", DEADLINE.as_secs()))
            .arg("--ttl=0")
            .arg(format!("--inline-limit={INLINE}"))
            .start();
        Ok(Self {
            other: bucket.client(),
            proxy,
            mount,
        })
    }
}

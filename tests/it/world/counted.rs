//! A mount whose every request is remembered: the embedded server, the proxy, the real binary. It
//! judges nothing. The requests of the mount's own start (its probe) are not counted.
//!
//! ```ignore
//! let ground = or_skip!(Counted::mount(|mount| mount.flat()));
//! ground.other.put("key", "value");
//! ground.run(Script::dash("cat key"));
//! assert_eq!(ground.counts().line(), "LIST 1, GET 1");
//! let ended = ground.unmount();                 // whatever was left to save is saved now
//! assert_eq!(ended.puts("key"), ["value"]);
//! ```

use super::client::Client;
use super::mounts::{self, Mount, Mounted};
use super::procs::{Output, Script};
use super::proxy::record::Counts;
use super::proxy::{Log, Mark, Op, Proxy};
use super::servers::{self, Bucket, Kind};
use super::wait;

/// A bucket, a mount of it, and the proxy between them.
pub(crate) struct Counted {
    pub(crate) bucket: Bucket,
    /// The other machine; it does not go by way of the proxy.
    pub(crate) other: Client,
    pub(crate) proxy: Proxy,
    pub(crate) mount: Mounted,
    start: Mark,
}

impl Counted {
    /// Mounts a new bucket of the embedded server.
    ///
    /// # Errors
    /// Why nothing can be mounted here.
    pub(crate) fn mount(options: impl FnOnce(Mount) -> Mount) -> Result<Self, String> {
        mounts::possible()?;
        Ok(Self::of(
            &servers::shared(Kind::Embedded)?.bucket(),
            options,
        ))
    }

    /// Mounts this bucket.
    pub(crate) fn of(bucket: &Bucket, options: impl FnOnce(Mount) -> Mount) -> Self {
        let proxy = Proxy::to(&bucket.endpoint);
        let mount = options(Mount::of(bucket).through(&proxy)).start();
        Self {
            other: bucket.client(),
            bucket: bucket.clone(),
            start: proxy.mark(),
            proxy,
            mount,
        }
    }

    /// Runs a script in the mount.
    pub(crate) fn run(&self, script: Script) -> Output {
        script.within(self.mount.path()).run()
    }

    /// The requests since the mount was ready.
    pub(crate) fn log(&self) -> Log {
        self.proxy.since(self.start)
    }

    /// How many there were of each kind.
    pub(crate) fn counts(&self) -> Counts {
        self.log().counts()
    }

    /// What was sent to be stored under a key, in order.
    pub(crate) fn puts(&self, key: &str) -> Vec<String> {
        puts(&self.log(), key)
    }

    /// Waits until so many values were sent to be stored under a key: some saves happen after the
    /// call that causes them has returned.
    #[track_caller]
    pub(crate) fn wait_for_puts(&self, key: &str, count: usize) {
        wait::until(&format!("{count} saves of {key}"), wait::SOON, || {
            self.puts(key).len() >= count
        });
    }

    /// Unmounts, which ends every save; what came of it.
    #[track_caller]
    pub(crate) fn unmount(self) -> Ended {
        let mount_log = self.mount.unmount();
        self.proxy.settle();
        Ended {
            other: self.other,
            requests: self.proxy.since(self.start),
            mount_log,
        }
    }
}

fn puts(log: &Log, key: &str) -> Vec<String> {
    log.key(key)
        .of(Op::Put)
        .iter()
        .map(super::proxy::Record::body)
        .collect()
}

/// What a mount did in its life.
pub(crate) struct Ended {
    pub(crate) other: Client,
    pub(crate) requests: Log,
    /// What the daemon logged.
    pub(crate) mount_log: String,
}

impl Ended {
    /// What was sent to be stored under a key, in order.
    pub(crate) fn puts(&self, key: &str) -> Vec<String> {
        puts(&self.requests, key)
    }
}

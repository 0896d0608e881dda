//! `etagfs demo`: the first minute, with no account and no network.
//!
//! A server in this process, a store with a few keys, and a mount of it, until Ctrl-C.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args as ClapArgs, CommandFactory, FromArgMatches, Parser};
use uuid::Uuid;

use super::daemon::Ready;
use super::report::Failure;
use super::source::Source;
use super::{log, mount, mount_point, runtime};
use crate::backend::S3;
use crate::backend::s3::{Credentials, S3Config};
use crate::model::{Key, Precondition, StoreId};
use crate::store::{Bucket, Catalog as _, Error, Metadata};
use crate::vfs::StateDir;
use etagfs_s3_server::{Config, Durability, Server};

const BUCKET: &str = "demo";

/// The store that the demo makes: always the same, so that a second run finds it again.
const STORE: StoreId = StoreId::new(Uuid::from_u128(0xde30_0000_0000_4000_8000_0000_0000_0001));

/// What the store holds at first.
const KEYS: [(&str, &str); 4] = [
    (
        "README.md",
        "# A store\n\nThis directory is a key-value store, and this file is one of its values.\n\
         Edit it with your editor: the save is a compare-and-swap.\n",
    ),
    ("counter", "0\n"),
    ("notes/shopping.txt", "milk\nbread\n"),
    (
        "settings.json",
        "{\n  \"colour\": \"green\",\n  \"size\": 3\n}\n",
    ),
];

/// The options of `demo`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Where to mount: a directory that is empty or does not exist yet.
    dir: PathBuf,
    /// Where to keep the data, to find it again next time [default: nowhere].
    #[arg(long, env = "ETAGFS_DEMO_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The arguments of the mount that a demo makes.
#[derive(Debug, Parser)]
struct MountArgs {
    #[command(flatten)]
    mount: mount::Args,
}

/// Runs the demo until Ctrl-C.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    std::fs::create_dir_all(&args.dir).map_err(|error| {
        Failure::new(format!("{} cannot be made: {error}", args.dir.display()))
            .hint("choose a directory of yours")
    })?;
    let dir = std::path::absolute(&args.dir)?;
    mount_point::check(&dir)?;
    log::start("warn", log::Destination::Stderr).map_err(Failure::new)?;
    let scratch = DemoDir::new()?;
    let data = match args.data {
        Some(data) => std::path::absolute(data)?,
        None => scratch.0.join("data"),
    };
    let result = runtime()?.block_on(demo(dir, data, &scratch));
    drop(scratch);
    result
}

async fn demo(dir: PathBuf, data: PathBuf, scratch: &DemoDir) -> Result<(), Failure> {
    let mut config = Config::new(data);
    config.listen = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    config.durability = Durability::ProcessDeath;
    let server = Server::bind(config)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    let url = format!("http://{}", server.local_addr());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        // An error means that the demo is over too.
        let _ = stopped.await;
    }));
    furnish(&url).await?;

    let at = scratch.0.join("state");
    let state = StateDir::make(&at).map_err(|unfit| Failure::new(unfit.to_string()))?;
    // Of nothing but these words: what the environment says is of another bucket.
    let command = MountArgs::command().mut_args(|arg| arg.env(None::<&str>));
    let bucket = format!("s3://{BUCKET}");
    let words: [&OsStr; 8] = [
        "mount".as_ref(),
        bucket.as_ref(),
        dir.as_os_str(),
        "--endpoint-url".as_ref(),
        url.as_ref(),
        "--no-sign-request".as_ref(),
        "--state-dir".as_ref(),
        at.as_os_str(),
    ];
    let matches = command.get_matches_from(words);
    let args = MountArgs::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let source = Source {
        bucket: BUCKET.to_owned(),
        prefix: String::new(),
    };
    let ready = Ready::with_welcome(welcome(&dir, &url));
    let result = mount::serve(args.mount, &source, Some(&state), ready).await;
    // It is gone if the server ended by itself.
    let _ = stop.send(());
    let _ = serving.await;
    result
}

/// Makes the bucket and its store, unless an earlier demo did.
async fn furnish(url: &str) -> Result<(), Failure> {
    let mut config = S3Config::new(BUCKET);
    config.endpoint_url = Some(url.to_owned());
    config.credentials = Credentials::Anonymous;
    let s3 = Arc::new(S3::connect(config).await?);
    s3.create_bucket().await?;
    let catalog = Bucket::new(s3, "");
    match catalog.create(STORE).await {
        Ok(()) => {}
        Err(Error::Exists(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let store = catalog.store(STORE);
    for (key, text) in KEYS {
        let key = Key::new(key).map_err(|bad| Failure::new(bad.to_string()))?;
        let bytes = Bytes::from_static(text.as_bytes());
        store
            .put(&key, bytes, &Metadata::default(), &Precondition::Absent)
            .await?;
    }
    Ok(())
}

fn welcome(dir: &std::path::Path, url: &str) -> String {
    let store = dir.join(STORE.to_string());
    let store = store.display();
    format!(
        "A bucket is mounted at {dir}, with one store in it. Try this in another terminal:

  cd {store}
  ls -l                            every key is a file
  cat settings.json                every value its content

Then lose a race. In one terminal:

  python3 -i -c 'f = open(\"counter\", \"r+\"); print(f.read())'

in a second one, while the first still has the file open:

  echo 100 > counter

and back in the first, which read the old value:

  >>> f.seek(0); f.write(\"1\\n\"); f.close()

The close fails with \"Resource temporarily unavailable\": somebody else saved first. What the first
terminal wrote is kept:

  ls {dir}/.etagfs/rescue; cat {dir}/.etagfs/conflicts

The server is {url} (bucket {BUCKET}, any credentials). Ctrl-C ends the demo.
",
        dir = dir.display(),
    )
}

/// A directory that is removed at the end.
struct DemoDir(PathBuf);

impl DemoDir {
    fn new() -> Result<Self, Failure> {
        let dir = std::env::temp_dir().join(format!("etagfs-demo-{}", Uuid::new_v4()));
        std::fs::create_dir(&dir).map_err(|error| {
            Failure::new(format!("{} cannot be made: {error}", dir.display()))
                .hint("name another directory for temporary files: TMPDIR")
        })?;
        Ok(Self(dir))
    }
}

impl Drop for DemoDir {
    fn drop(&mut self) {
        // Rescued bytes of a demo are not worth keeping; a directory that stays does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

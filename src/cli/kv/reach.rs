//! How targets are reached, as options say it, and how a command of them is run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Args as ClapArgs;

use crate::backend::Backend;
use crate::cli::konserve::{KonserveOptions, Layout};
use crate::cli::report::Failure;
use crate::cli::source::{Connection, StateOptions};
use crate::cli::{log, runtime};
use crate::client::{Client, Connect, Error, Source};
use crate::model::Server;
use crate::store::{LayoutName, Layouts};

/// How long is waited for what a command has left to other threads, when it has ended.
const LEFTOVER: Duration = Duration::from_secs(1);

/// The options that say how targets are reached; those of every key-value command.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Reach {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    konserve: KonserveOptions,
    #[command(flatten)]
    state: StateOptions,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Stores")]
struct Stores {
    /// Take s3://BUCKET/KEY for an object of the bucket, without a level of stores.
    #[arg(long, env = "ETAGFS_FLAT", conflicts_with = "store_layout")]
    flat: bool,
    /// The layout of the store [default: detected, with one more request when in doubt].
    #[arg(long, env = "ETAGFS_STORE_LAYOUT", value_enum, value_name = "LAYOUT")]
    store_layout: Option<Layout>,
}

/// What a command comes to.
pub(in crate::cli) type CommandResult = Result<(), Failure>;

impl Reach {
    /// Runs a command.
    ///
    /// # Errors
    /// Its own, and when there is no way to run anything.
    pub(in crate::cli) fn run<F>(&self, command: impl FnOnce(Client) -> F) -> CommandResult
    where
        F: Future<Output = CommandResult>,
    {
        log::start("error", log::Destination::Stderr).map_err(Failure::usage)?;
        let runtime = runtime()?;
        let outcome = runtime.block_on(command(self.client()));
        // A call of a filesystem that does not answer is nobody's any more.
        runtime.shutdown_timeout(LEFTOVER);
        outcome
    }

    /// Goes to the server that something is from, unless another one is given.
    pub(super) fn prefer(&mut self, server: &Server) {
        self.connection.prefer(server);
    }

    /// The way to the targets of one command.
    pub(in crate::cli) fn client(&self) -> Client {
        let ways = Ways {
            connection: self.connection.clone(),
            konserve: self.konserve.clone(),
            state: self.state.clone(),
        };
        Client::new(ways)
            .prefix(self.connection.prefix())
            .flat(self.stores.flat)
            .layout(self.stores.store_layout.map(LayoutName::from))
    }

    /// A bucket, or the part of it below a prefix.
    ///
    /// # Errors
    /// When the text names none.
    pub(super) fn source(&self, text: &str) -> Result<Source, Failure> {
        Source::parse(text, &self.connection)
    }
}

/// What of the options the client asks when it needs it: a command that works on files alone needs none of it.
struct Ways {
    connection: Connection,
    konserve: KonserveOptions,
    state: StateOptions,
}

#[async_trait]
impl Connect for Ways {
    async fn connect(&self, source: &Source) -> Result<Arc<dyn Backend>, Error> {
        Ok(self.connection.connect(source).await?)
    }

    fn layouts(&self) -> Result<Layouts, Error> {
        // Without a directory the names of keys are not kept, and learned again the next time.
        let state = self.state.for_names();
        Ok(self.konserve.layouts(state.as_deref())?)
    }
}

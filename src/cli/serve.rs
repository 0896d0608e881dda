//! `etagfs serve`: the embedded server, in the foreground.
//!
//! It knows how to start and stop [`etagfs_s3_server`] and what to tell the user; nothing of S3. The
//! first line on standard output is for programs, the rest is for people.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use rustix::process::Signal;

use super::report::Failure;
use super::signals::Signals;
use super::{log, runtime};
use etagfs_s3_server::{Config, Credentials, Durability, Server};

/// The options of `serve`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Prints `listening on http://ADDRESS` on standard output once it takes requests, and stops on
SIGINT or SIGTERM. Without a key pair it takes every request, signed or not, except those of web pages
of other sites.")]
pub(super) struct Args {
    /// Directory that holds the data; created if missing.
    data_dir: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env = "ETAGFS_SERVE_LISTEN", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Allow an address that other machines can reach. There is no TLS.
    #[arg(long, env = "ETAGFS_SERVE_ALLOW_REMOTE")]
    allow_remote: bool,
    /// Access key id that requests must be signed with.
    #[arg(long, env = "ETAGFS_SERVE_ACCESS_KEY", requires = "secret_key")]
    access_key: Option<String>,
    /// Secret access key. Prefer the variable: arguments can be seen by other users.
    #[arg(
        long,
        env = "ETAGFS_SERVE_SECRET_KEY",
        hide_env_values = true,
        requires = "access_key"
    )]
    secret_key: Option<String>,
    /// What to log: error, warn, info, debug, trace, off, or directives like etagfs=debug.
    #[arg(long, env = "ETAGFS_LOG", value_name = "LEVEL", default_value = "info", value_parser = log::level)]
    log: String,
    /// Do not sync to disk. Faster; a crash of the program loses nothing, a power failure may.
    #[arg(long, env = "ETAGFS_SERVE_NO_SYNC")]
    no_sync: bool,
}

/// Runs the server until a signal ends it.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    log::start(&args.log, log::Destination::Stderr).map_err(Failure::usage)?;
    runtime()?.block_on(serve(args))
}

async fn serve(args: Args) -> Result<(), Failure> {
    if !args.listen.ip().is_loopback() && !args.allow_remote {
        return Err(Failure::usage(format!(
            "{} can be reached by other machines, and there is no TLS",
            args.listen
        ))
        .hint("listen on a loopback address, or give --allow-remote if you mean it"));
    }
    let mut config = Config::new(args.data_dir);
    config.listen = args.listen;
    config.credentials = args
        .access_key
        .zip(args.secret_key)
        .map(|(access_key, secret_key)| Credentials {
            access_key,
            secret_key,
        });
    if args.no_sync {
        config.durability = Durability::ProcessDeath;
    }
    // Before the first line is out, so that whoever waits for it can stop us in good order.
    let ends = Signals::heard(&[Signal::INT, Signal::TERM]);
    let mut ends = ends?;
    let open = config.credentials.is_none();
    let server = Server::bind(config)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    announce(server.local_addr(), open)?;
    server
        .run(async {
            ends.next().await;
        })
        .await;
    Ok(())
}

/// In one write, so that a reader that leaves after the first line breaks nothing.
fn announce(addr: SocketAddr, open: bool) -> io::Result<()> {
    let keys = if open {
        "any key pair, or none"
    } else {
        "your key pair"
    };
    let text = format!(
        "listening on http://{addr}\n\
         Use it as an S3 endpoint, path style, region us-east-1, with {keys}:\n  \
         aws --endpoint-url http://{addr} s3 mb s3://my-bucket\n\
         Stop it with Ctrl-C.\n"
    );
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

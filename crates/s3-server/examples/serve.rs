//! Serves a directory on a free port of 127.0.0.1 until it is killed, and prints the address:
//! `cargo run -p etagfs-s3-server --example serve -- DIR [--no-sync]`.
#![allow(clippy::print_stdout)]

use etagfs_s3_server::{Config, Durability, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let mut config = Config::new(arguments.next().ok_or("usage: serve DIR [--no-sync]")?);
    if arguments.any(|argument| argument == "--no-sync") {
        config.durability = Durability::ProcessDeath;
    }
    let server = Server::bind(config).await?;
    println!("listening on http://{}", server.local_addr());
    server.run(std::future::pending()).await;
    Ok(())
}

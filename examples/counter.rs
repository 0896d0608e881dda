//! Adds to a number in an object of a bucket, whoever else does the same elsewhere. No mount is needed.
//!
//! usage: counter [--endpoint-url URL] s3://BUCKET/KEY [TIMES]
//!
//! The region, the credentials and the server come from the environment (`AWS_REGION`, `AWS_ACCESS_KEY_ID`,
//! `AWS_PROFILE`, `AWS_ENDPOINT_URL_S3`, ...), as with the tools of AWS. The key is created if it does not exist. The
//! closure is the whole recipe: it gets the value, and says what it is to be; it runs again each time that another
//! program saved first. Prints the number after the last increment, and how many tries all of them took.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use etagfs::client::{self, Change, Client, Current, Retry, S3Config};

/// What a program has besides this library: an error of its own, here any.
type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let mut config = S3Config::new("");
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("--endpoint-url").is_some() {
        config.endpoint_url = arguments.next();
    }
    let url = arguments
        .next()
        .ok_or("usage: counter [--endpoint-url URL] s3://BUCKET/KEY [TIMES]")?;
    let times: u32 = arguments.next().map_or(Ok(1), |times| times.parse())?;

    let client = Client::new(config).flat(true);
    let counter = client.location(&*url).await?;
    let retry = Retry {
        time: Duration::from_secs(120),
        ..Retry::default()
    };
    let increment = async |current: Current| {
        let text = std::str::from_utf8(&current.bytes)?;
        let number: u64 = match text.trim() {
            "" => 0,
            number => number.parse()?,
        };
        Ok::<_, Failed>(Change::Save(format!("{}\n", number + 1).into()))
    };

    let (mut number, mut tries) = (String::new(), 0);
    for _ in 0..times {
        let updated = client::update(&*counter, increment, retry).await?;
        number = String::from_utf8_lossy(&updated.bytes).trim().to_owned();
        tries += updated.attempts;
    }
    writeln!(
        std::io::stdout(),
        "{number} after {times} increments, {tries} tries"
    )?;
    Ok(())
}

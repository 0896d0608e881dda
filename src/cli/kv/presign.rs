//! `etagfs presign`: an address that needs no credentials.

use std::time::Duration;

use clap::Args as ClapArgs;
use serde_json::{Map, json};

use super::metadata_args;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::backend::Grant;
use crate::cli::output::{note, say, say_json};
use crate::client::Client;
use crate::model::{Precondition, Version};

/// The longest that S3 allows: a week.
const MOST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The options of `presign`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, in a plain store.
    target: Target,
    /// How long the URL is valid: a number with s, m, h or d; at most 7d. It expires earlier if the
    /// credentials that signed it do.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    expires: Duration,
    /// Allow writing the value by a PUT. Without a condition it replaces whatever value exists, unseen.
    #[arg(long)]
    put: bool,
    /// Only over this version; the PUT must have the header that is printed.
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version, requires = "put")]
    if_match: Option<Version>,
    /// Only if the key does not exist; the PUT must have the header that is printed.
    #[arg(long, requires = "put", conflicts_with = "if_match")]
    if_none_match: bool,
    /// Print one JSON object: address and headers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

fn duration(text: &str) -> Result<Duration, String> {
    let time = crate::cli::units::time(text)?;
    match !time.is_zero() && time <= MOST {
        true => Ok(time),
        false => Err("it is from 1s to 7d".to_owned()),
    }
}

/// Prints the address.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach.run(async |client| presign(args, client).await)
}

async fn presign(args: &Args, client: Client) -> CommandResult {
    let hint = "name the key by its URL: s3://BUCKET/UUID/KEY";
    let key = client.key(&args.target.url(hint)?).await?;
    let grant = match (args.put, &args.if_match, args.if_none_match) {
        (false, ..) => Grant::Get,
        (true, Some(version), _) => Grant::Put(Some(Precondition::Is(version.clone()))),
        (true, None, true) => Grant::Put(Some(Precondition::Absent)),
        (true, None, false) => Grant::Put(None),
    };
    let signed = key.presign(&grant, args.expires).await?;
    if args.json {
        let headers = signed.headers.into_iter();
        let headers: Map<_, _> = headers.map(|(name, value)| (name, value.into())).collect();
        return say_json(&json!({ "url": signed.url, "headers": headers }));
    }
    say(&format!("{}\n", signed.url))?;
    for (name, value) in signed.headers {
        note(&format!("{name}: {value}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_a_limit() {
        for (text, seconds) in [
            ("90", 90),
            ("1s", 1),
            ("15m", 900),
            ("2h", 7200),
            ("7d", 604_800),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in [
            "",
            "0",
            "8d",
            "1w",
            "m",
            "99999999999999999999d",
            "999999999999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

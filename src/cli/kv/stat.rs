//! `etagfs stat`: what is known of keys, without their values.

use clap::Args as ClapArgs;
use serde_json::Value;

use super::metadata_args;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::output::{say, say_json};
use crate::client::{self, Client};

/// The options of `stat`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path; one or more.
    #[arg(required = true)]
    targets: Vec<Target>,
    /// Print one JSON object for each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Prints what is known.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach.run(async |client| stat(args, client).await)
}

async fn stat(args: &Args, client: Client) -> CommandResult {
    for target in &args.targets {
        let location = client.location(target.address()?).await?;
        let about = client::stat(&*location).await?;
        let known = Value::from(metadata_args::about(&*location, &about));
        match args.json {
            true => say_json(&known)?,
            false => say(&lines("", &known))?,
        }
    }
    Ok(())
}

/// One line for each fact.
fn lines(name: &str, value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let within = |(key, value): (&String, &Value)| match name {
                "" => lines(key, value),
                _ => lines(&format!("{name}.{key}"), value),
            };
            map.iter().map(within).collect()
        }
        Value::String(text) => format!("{name}: {text}\n"),
        other => format!("{name}: {other}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_a_line() {
        let known = serde_json::json!({ "etag": "\"x\"", "size": 3, "metadata": { "a": "b" } });
        assert_eq!(lines("", &known), "etag: \"x\"\nmetadata.a: b\nsize: 3\n");
    }
}

//! Real clients beside a mount: boto3, the AWS CLI and `@kessler/s3-store` write and read what the mount
//! writes and reads, on our own server and on an independent one. ETags agree, content types and
//! metadata go both ways, and each side sees the other's conflicts.

mod side_by_side;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::world::client::REGION;
use crate::world::servers::Bucket;

/// A client that others wrote.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Boto3,
    AwsCli,
    S3Store,
}

/// What an operation of it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    /// To this ETag; empty after a delete.
    Done(String),
    /// To a lost race, with this status.
    Refused(u64),
}

/// What a client read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    etag: String,
    body: String,
    content_type: String,
    owner: Option<String>,
}

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-servers")
        .join(name)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/clients")
        .join(name)
}

impl Kind {
    /// The command of an operation: its program, with what comes before the operation.
    fn program(self) -> Result<Command, String> {
        let (program, before) = match self {
            Self::Boto3 => (
                installed("boto3/bin/python"),
                vec![script("boto3_client.py")],
            ),
            Self::AwsCli => (installed("awscli/bin/aws"), vec![]),
            Self::S3Store => {
                let modules = installed("s3-store/node_modules");
                if !modules.exists() {
                    return Err("@kessler/s3-store is not installed: run tests/setup".to_owned());
                }
                ("node".into(), vec![script("s3_store_client.mjs"), modules])
            }
        };
        if program.is_absolute() && !program.exists() {
            return Err(format!("{self:?} is not installed: run tests/setup"));
        }
        let mut command = Command::new(program);
        command.args(before);
        Ok(command)
    }
}

/// A client at a bucket.
struct Foreign {
    kind: Kind,
    bucket: Bucket,
}

impl Foreign {
    fn command(&self) -> Command {
        let mut command = self.kind.program().expect("checked before");
        command
            .env("ENDPOINT", &self.bucket.endpoint)
            .env("AWS_ACCESS_KEY_ID", &self.bucket.keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.bucket.keys.secret)
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE");
        command
    }

    /// Runs one operation; its line of JSON.
    fn run(&self, operation: &str, key: &str, rest: &[&str]) -> Value {
        if matches!(self.kind, Kind::AwsCli) {
            return self.run_cli(operation, key, rest);
        }
        let mut command = self.command();
        command.args([&self.bucket.name, operation, key]).args(rest);
        let out = command.output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.success(),
            "{:?} {operation} {key}: {told}",
            self.kind
        );
        serde_json::from_slice(&out.stdout).unwrap()
    }

    fn run_cli(&self, operation: &str, key: &str, rest: &[&str]) -> Value {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let typed = ["--content-type", "text/x-note", "--metadata", "owner=ann"];
        let mut words = match operation {
            "create" | "update" => {
                std::fs::write(file.path(), rest[0]).unwrap();
                let condition = match operation {
                    "create" => ["--if-none-match", "*"],
                    _ => ["--if-match", rest[1]],
                };
                let mut words = vec!["put-object", "--body", path];
                words.extend(condition);
                words.extend(typed);
                words
            }
            "delete" => vec!["delete-object", "--if-match", rest[0]],
            _ => vec!["get-object"],
        };
        words.extend([
            "--bucket",
            &self.bucket.name,
            "--key",
            key,
            "--output",
            "json",
        ]);
        if operation == "read" {
            words.push(path);
        }
        let mut command = self.command();
        command.args(["--endpoint-url", &self.bucket.endpoint, "s3api"]);
        let out = command.args(words).output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        if !out.status.success() {
            let refusals = [
                ("PreconditionFailed", 412),
                ("ConditionalRequestConflict", 409),
                ("NoSuchKey", 404),
            ];
            let refusal = refusals.into_iter().find(|(code, _)| told.contains(code));
            let (_, status) = refusal.unwrap_or_else(|| panic!("aws {operation} {key}: {told}"));
            return serde_json::json!({ "refused": status });
        }
        let answer: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        serde_json::json!({
            "etag": answer["ETag"],
            "body": std::fs::read_to_string(file.path()).unwrap(),
            "type": answer["ContentType"],
            "owner": answer["Metadata"]["owner"],
        })
    }

    fn change(&self, operation: &str, key: &str, rest: &[&str]) -> Came {
        let answer = self.run(operation, key, rest);
        match answer["refused"].as_u64() {
            Some(status) => Came::Refused(status),
            None => Came::Done(answer["etag"].as_str().unwrap_or_default().to_owned()),
        }
    }

    /// Creates an object of type `text/x-note` that belongs to ann.
    fn create(&self, key: &str, body: &str) -> Came {
        self.change("create", key, &[body])
    }

    /// Replaces that version of an object.
    fn update(&self, key: &str, body: &str, etag: &str) -> Came {
        self.change("update", key, &[body, etag])
    }

    /// Deletes that version of an object.
    fn delete(&self, key: &str, etag: &str) -> Came {
        self.change("delete", key, &[etag])
    }

    fn read(&self, key: &str) -> Read {
        let answer = self.run("read", key, &[]);
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        Read {
            etag: text("etag").unwrap(),
            body: text("body").unwrap(),
            content_type: text("type").unwrap(),
            owner: text("owner"),
        }
    }
}

impl Came {
    #[track_caller]
    fn done(self) -> String {
        match self {
            Self::Done(etag) => etag,
            Self::Refused(status) => panic!("it was refused with {status}"),
        }
    }
}

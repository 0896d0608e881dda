//! Who asks: every source of the standard chain, rotation while mounted, messages, and that no secret
//! gets into a log. Real programs, real HTTP on loopback; [`crate::world::issuer`] stands for STS, SSO,
//! ECS and IMDS.

mod network;
mod rotation;
mod secrets;
mod sources;
mod terms;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::world::client::{Keys, REGION};
use crate::world::mounts::Mount;
use crate::world::servers::{self, Bucket, Kind, Server};

/// A home directory with AWS files, and the variables of somebody who lives there.
struct Home {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(".aws")).unwrap();
        Self {
            directory,
            variables: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file, as a careful program does: whole or not at all.
    fn write(&self, name: &str, text: &str) {
        let new = self.path("new");
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, self.path(name)).unwrap();
    }

    fn credentials(&self, text: &str) {
        self.write(".aws/credentials", text);
    }

    fn config(&self, text: &str) {
        self.write(".aws/config", text);
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// All variables.
    fn environment(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut all = vec![
            ("HOME".to_owned(), text(self.path(""))),
            ("AWS_CONFIG_FILE".to_owned(), text(self.path(".aws/config"))),
            (
                "AWS_SHARED_CREDENTIALS_FILE".to_owned(),
                text(self.path(".aws/credentials")),
            ),
            ("AWS_REGION".to_owned(), REGION.to_owned()),
        ];
        all.extend(self.variables.iter().cloned());
        all
    }

    /// Runs `etagfs` here, with an otherwise empty environment.
    fn etagfs(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_etagfs"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(self.environment())
            .output()
            .unwrap()
    }

    /// `etagfs stores ls`: what it said, or why it failed.
    fn ls(&self, bucket: &Bucket, endpoint: &str, more: &[&str]) -> Result<String, String> {
        let source = format!("s3://{}", bucket.name);
        let mut arguments = vec!["stores", "ls", &source, "--endpoint-url", endpoint];
        arguments.extend(more);
        let out = self.etagfs(&arguments);
        match out.status.code() {
            Some(0) => Ok(String::from_utf8(out.stdout).unwrap()),
            code => Err(format!("{code:?} {}", String::from_utf8_lossy(&out.stderr))),
        }
    }

    /// A mount by somebody who lives here.
    fn mount(&self, bucket: &Bucket) -> Mount {
        let mount = Mount::of(bucket).without_keys().flat();
        self.environment()
            .into_iter()
            .fold(mount, |mount, (name, value)| mount.env(name, value))
    }
}

/// Keys as the AWS files write them.
fn section(name: &str, keys: &Keys) -> String {
    format!(
        "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        keys.id, keys.secret
    )
}

/// What a process or an endpoint of ECS says; the process's needs a version.
fn json(keys: &Keys, token: Option<&str>, expires: Option<&str>) -> String {
    let mut value = serde_json::json!({
        "Version": 1,
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": keys.id,
        "SecretAccessKey": keys.secret,
    });
    if let Some(token) = token {
        value["SessionToken"] = token.into();
        value["Token"] = token.into();
    }
    if let Some(expires) = expires {
        value["Expiration"] = expires.into();
    }
    value.to_string()
}

/// A time to come, as AWS writes it.
fn after(time: Duration) -> String {
    OffsetDateTime::from(SystemTime::now() + time)
        .format(&Rfc3339)
        .unwrap()
}

/// A key pair that no server knows yet.
fn new_keys() -> Keys {
    Keys {
        id: servers::random_name("AK"),
        secret: servers::random_name("secret"),
    }
}

/// A server of one's own, whose keys can be changed.
fn own_server() -> Result<Server, String> {
    servers::start(Kind::Embedded)
}

fn is_in(text: &str, file: &Path) -> bool {
    text.contains(file.to_str().unwrap())
}

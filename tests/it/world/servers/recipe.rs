//! How each server is started: command line, ports, files, keys. It does not wait and does not judge.
//! The options are from the servers' own help texts; `tests/setup` installs them and pins the versions.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::Kind;
use crate::world::client::Keys;
use crate::world::port::Port;
use crate::world::tied::{self, OnOurDeath, Tied};

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// All that is needed to start a server, any number of times.
#[derive(Debug)]
pub(super) struct Recipe {
    kind: Kind,
    directory: PathBuf,
    /// The first is that of S3.
    ports: Vec<Port>,
    keys: Keys,
}

fn installation(kind: Kind) -> PathBuf {
    let servers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-servers");
    match kind {
        Kind::Ministack => servers.join("ministack/bin/python"),
        Kind::Seaweed => servers.join("seaweedfs/bin/weed"),
        Kind::S3rver => servers.join("s3rver/node_modules/s3rver/bin/s3rver.js"),
        Kind::Embedded => PathBuf::from(ETAGFS),
    }
}

/// Tells why the server cannot be started here.
pub(super) fn installed(kind: Kind) -> Result<(), String> {
    let program = installation(kind);
    if !program.exists() {
        return Err(format!("{kind:?} is not installed: run tests/setup"));
    }
    if kind == Kind::Embedded && !can_serve() {
        return Err("this build of etagfs has no `serve`".to_owned());
    }
    Ok(())
}

/// Whether the binary knows the subcommand: a failure of a server that exists must not be a skip.
fn can_serve() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let help = Command::new(ETAGFS)
            .args(["serve", "--help"])
            .output()
            .unwrap();
        help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--listen")
    })
}

/// The key pair a server knows.
pub(super) fn keys(kind: Kind) -> Keys {
    let (id, secret) = match kind {
        Kind::S3rver => ("S3RVER", "S3RVER"),
        Kind::Ministack | Kind::Seaweed | Kind::Embedded => ("etagfs-test", "etagfs-test-secret"),
    };
    Keys {
        id: id.to_owned(),
        secret: secret.to_owned(),
    }
}

impl Recipe {
    pub(super) fn new(kind: Kind, directory: &Path, keys: Keys) -> Self {
        let count = match kind {
            Kind::Ministack | Kind::S3rver | Kind::Embedded => 1,
            Kind::Seaweed => 8,
        };
        Self {
            kind,
            directory: directory.to_owned(),
            ports: (0..count).map(|_| Port::new()).collect(),
            keys,
        }
    }

    pub(super) fn change_keys(&mut self, keys: Keys) {
        self.keys = keys;
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log.txt")
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// HOST:PORT of S3.
    fn address(&self) -> String {
        self.ports[0].address().to_string()
    }

    /// The URL.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(super) fn spawn(&self) -> Tied {
        fs::create_dir_all(self.data()).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let mut command = match self.kind {
            Kind::Ministack => self.ministack(),
            Kind::Seaweed => self.seaweed(),
            Kind::S3rver => self.s3rver(),
            Kind::Embedded => self.embedded(),
        };
        command
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        tied::spawn(command)
    }

    /// The `ministack` command listens on all interfaces whatever it is told: its ASGI application in
    /// hypercorn does not. No workers: hypercorn itself serves, so that there is one process to kill.
    fn ministack(&self) -> Command {
        let mut command = tied::command(installation(self.kind), OnOurDeath::Kill);
        command
            .args([
                "-m",
                "hypercorn",
                "ministack.app:app",
                "--workers",
                "0",
                "--bind",
            ])
            .arg(self.address())
            .env("S3_PERSIST", "1")
            .env("S3_DATA_DIR", self.data());
        command
    }

    /// Every component has a port of its own; the two catalogues nobody asked for (Iceberg 8181,
    /// Lance 9101) are off.
    fn seaweed(&self) -> Command {
        let identities = self.directory.join("s3.json");
        let keys = keys(self.kind);
        let json = serde_json::json!({ "identities": [{
            "name": "tests",
            "credentials": [{ "accessKey": keys.id, "secretKey": keys.secret }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }] });
        fs::write(&identities, json.to_string()).unwrap();
        // Read from the working directory. Each bucket takes volumes of its own, and each test a
        // bucket: one volume at a time, not seven.
        let growth = "[master.volume_growth]\ncopy_1 = 1\n";
        fs::write(self.directory.join("master.toml"), growth).unwrap();

        let mut command = tied::command(installation(self.kind), OnOurDeath::Kill);
        command
            .arg("server")
            .arg(format!("-dir={}", self.data().display()));
        let options = [
            "s3.port",
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
        ];
        for (option, port) in options.iter().zip(&self.ports) {
            command.arg(format!("-{option}={}", port.address().port()));
        }
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-s3.config={}", identities.display()));
        command.args([
            "-s3.allowDeleteBucketNotEmpty=false",
            "-master.telemetry=false",
        ]);
        command.args(["-volume.max=2000", "-master.volumePreallocate=false"]);
        command.arg("-master.volumeSizeLimitMB=64");
        command
    }

    fn s3rver(&self) -> Command {
        let mut command = tied::command("node", OnOurDeath::Kill);
        command
            .arg(installation(self.kind))
            .arg("--directory")
            .arg(self.data());
        command.args(["--address", "127.0.0.1", "--no-vhost-buckets"]);
        let port = self.ports[0].address().port();
        command.arg("--port").arg(port.to_string());
        command
    }

    fn embedded(&self) -> Command {
        let keys = &self.keys;
        let mut command = tied::command(installation(self.kind), OnOurDeath::Kill);
        command
            .arg("serve")
            .arg(self.data())
            .arg("--listen")
            .arg(self.address())
            // Then it checks signatures.
            .env("ETAGFS_SERVE_ACCESS_KEY", &keys.id)
            .env("ETAGFS_SERVE_SECRET_KEY", &keys.secret)
            // The tests kill it; they do not cut the power.
            .env("ETAGFS_SERVE_NO_SYNC", "true");
        command
    }
}

//! The real nginx between etagfs and the store, with its own `proxy_next_upstream`: a server behind it
//! does what a PUT or a DELETE asks and goes away without an answer, and nginx sends the request to the
//! next one (both methods are idempotent by HTTP). Nothing is refused or done twice (W6, W15). What each
//! promise means in detail is in `races/doubled.rs` and `kv/doubled.rs`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::world::cli;
use crate::world::client::Client;
use crate::world::mounts::{self, Mount};
use crate::world::port::Port;
use crate::world::procs::{Running, Script};
use crate::world::proxy::{Fault, Injected, Op, Proxy, When};
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind};
use crate::world::tied::{self, OnOurDeath, Tied};
use crate::world::wait;

const NGINX: &str = "/usr/sbin/nginx";

/// nginx before two servers, the first of which answers no write.
struct Between {
    bucket: Bucket,
    direct: Client,
    /// Carries writes out and says nothing.
    first: Proxy,
    silent: Injected,
    second: Proxy,
    _nginx: Tied,
    directory: TempDir,
}

impl Between {
    fn start() -> Result<Self, String> {
        if !Path::new(NGINX).exists() {
            return Err("nginx is not installed: run tests/setup".to_owned());
        }
        let direct = servers::shared(Kind::Embedded)?.bucket();
        let (first, second) = (Proxy::to(&direct.endpoint), Proxy::to(&direct.endpoint));
        let silent = first.inject(When::write(), Fault::LoseReply);
        let (port, directory) = (Port::new(), tempfile::tempdir().unwrap());
        let server = |proxy: &Proxy| proxy.endpoint().trim_start_matches("http://").to_owned();
        let here = directory.path().display();
        // `proxy_next_upstream` is nginx's default, here said aloud.
        let text = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log warn;
            events {{ worker_connections 256; }}
            http {{
                access_log off; merge_slashes off; client_max_body_size 0;
                client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
                fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
                upstream store {{
                    server {} max_fails=0; server {} backup;
                }}
                server {{
                    listen {} reuseport;
                    location / {{
                        proxy_pass http://store; proxy_set_header Host $http_host;
                        proxy_next_upstream error timeout;
                    }}
                }}
            }}",
            server(&first),
            server(&second),
            port.address(),
        );
        fs::write(directory.path().join("nginx.conf"), text).unwrap();
        let mut command = tied::command(NGINX, OnOurDeath::Kill);
        command.arg("-p").arg(directory.path());
        command.arg("-c").arg(directory.path().join("nginx.conf"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut nginx = tied::spawn(command);
        let listens = wait::eventually(wait::SOON, || {
            nginx.ended().is_some() || std::net::TcpStream::connect(port.address()).is_ok()
        });
        let log = fs::read_to_string(directory.path().join("error.log")).unwrap_or_default();
        assert!(
            listens && nginx.ended().is_none(),
            "nginx does not start: {log}"
        );
        Ok(Self {
            direct: direct.client(),
            bucket: Bucket {
                endpoint: format!("http://{}", port.address()),
                ..direct
            },
            first,
            silent,
            second,
            _nginx: nginx,
            directory,
        })
    }

    /// Tells how often nginx sent a write again; each time that the first server was silent.
    #[track_caller]
    fn told(&self, what: &str) {
        let count = |proxy: &Proxy| {
            proxy.settle();
            let counts = proxy.log().counts();
            counts.of(Op::Put) + counts.of(Op::Delete)
        };
        let (first, again) = (count(&self.first), count(&self.second));
        let version = Command::new(NGINX).arg("-v").output().unwrap().stderr;
        let version = String::from_utf8_lossy(&version);
        let version = version.trim().trim_start_matches("nginx version: ");
        let line = format!("{version}: {what}; {first} writes, {again} of them sent again");
        println!("{line}");
        report::append_line("doubled", &line);
        assert_eq!(self.silent.struck(), first);
        assert_eq!(first, again, "nginx sends every write again");
        assert!(first > 0);
    }

    fn script(&self, text: &str) -> Script {
        cli::script(&self.bucket, self.directory.path(), text)
            .env("B", format!("s3://{}", self.bucket.name))
    }
}

#[test]
fn a_mount_behind_nginx_saves_appends_locks_and_deletes_once() {
    const TIMES: usize = 20;
    or_skip!(mounts::possible());
    let between = or_skip!(Between::start());
    let start = || Mount::of(&between.bucket).flat().start();
    let mounts = [start(), start()];
    let alone = format!(
        "set -e
        for i in $(seq {TIMES}); do
            /bin/echo $i > key-$i; /bin/echo again $i > key-$i; /bin/echo $i >> alone
        done
        for i in $(seq {TIMES}); do mkdir lock; rmdir lock; done
        for i in $(seq {TIMES}); do rm key-$i; done"
    );
    Script::bash(&alone).within(mounts[0].path()).run().ok();
    let lines = between.direct.text("alone").lines().count();
    assert_eq!(lines, TIMES);
    assert_eq!(between.direct.keys(), ["alone"]);
    // Who loses again and again on a busy machine is told so, and tries again.
    let together = format!(
        "append() {{
            until said=$(/bin/echo $1 2>&1 >> log); do
                case $said in *'temporarily unavailable'*) ;; *) echo \"$said\" >&2; return 1 ;; esac
            done
        }}
        for i in $(seq {TIMES}); do append $$-$i || exit; done
        for i in $(seq {TIMES}); do mkdir lock-$i 2> /dev/null && echo mine; done; true"
    );
    let running: Vec<_> = mounts
        .iter()
        .map(|mount| Script::bash(&together).within(mount.path()).start())
        .collect();
    let outputs: Vec<_> = running.into_iter().map(Running::finish).collect();
    let locks: usize = outputs
        .into_iter()
        .map(|out| out.ok().stdout.lines().count())
        .sum();
    assert_eq!(locks, TIMES, "each lock has one holder");
    let log = between.direct.text("log");
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(
        (log.lines().count(), lines.len()),
        (2 * TIMES, 2 * TIMES),
        "{log}"
    );
    between.told(&format!(
        "{} appends of two machines are {} lines, {TIMES} mkdir locks have {locks} holders",
        2 * TIMES,
        lines.len()
    ));
}

#[test]
fn the_commands_behind_nginx_do_their_work_once() {
    const TIMES: usize = 12;
    let between = or_skip!(Between::start());
    let text = format!(
        "set -e -o pipefail
        S=$B/$(etagfs stores create $B)
        for i in $(seq {TIMES}); do
            etagfs update $S/counter -- sh -c 'read n; echo $((n + 1))'
            echo $i | etagfs append $S/log
            echo $i | etagfs create $S/new-$i > /dev/null
            echo $i | etagfs put $S/value > /dev/null
            etagfs mv $S/new-$i $S/moved-$i
            etagfs rm $S/moved-$i
        done
        etagfs get $S/counter; etagfs log $S/log | wc -l; etagfs get $S/value; etagfs ls $S"
    );
    let out = between.script(&text).run().ok();
    assert_eq!(out.stderr, "", "{out:#?}");
    let lines: Vec<_> = out.stdout.lines().collect();
    let times = TIMES.to_string();
    assert_eq!(lines[..3], [times.as_str(); 3], "{out:#?}");
    assert_eq!(lines[3..], ["counter", "log", "value"], "{out:#?}");
    between.told(&format!(
        "{TIMES} times etagfs update count to {}",
        lines[0]
    ));
}

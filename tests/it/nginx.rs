//! The real nginx: it serves files out of a mount (R2). And it stands between etagfs and the store, with
//! its own `proxy_next_upstream`: a server behind it does what a PUT or a DELETE asks and goes away
//! without an answer, and nginx sends the request to the next one (both methods are idempotent by HTTP). Nothing is refused or done twice (W6, W15). What each
//! promise means in detail is in `races/doubled.rs` and `kv/doubled.rs`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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

/// Runs nginx in a directory, until it takes requests.
fn run(directory: &Path, port: &Port, config: &str) -> Tied {
    fs::write(directory.join("nginx.conf"), config).unwrap();
    let mut command = tied::command(NGINX, OnOurDeath::Kill);
    command.arg("-p").arg(directory);
    command.arg("-c").arg(directory.join("nginx.conf"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut nginx = tied::spawn(command);
    let listens = wait::eventually(wait::SOON, || {
        nginx.ended().is_some() || TcpStream::connect(port.address()).is_ok()
    });
    let log = fs::read_to_string(directory.join("error.log")).unwrap_or_default();
    assert!(
        listens && nginx.ended().is_none(),
        "nginx does not start: {log}"
    );
    nginx
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
        let nginx = run(directory.path(), &port, &text);
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

/// The body of an answer, and whether it is as long as it was said to be.
fn fetch(port: &Port, path: &str) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(port.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It may be cut.
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return (Vec::new(), false);
    };
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    let said = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let is_whole = head.starts_with("HTTP/1.1 200") && said == Some(&*body.len().to_string());
    (body, is_whole)
}

/// nginx that serves a mount, by sendfile(2) and by read(2), while others save, and with another version open.
#[test]
fn what_nginx_serves_out_of_a_mount_is_of_one_version() {
    const SIZE: usize = 300_000;
    const TIMES: u8 = 20;
    or_skip!(mounts::possible());
    if !Path::new(NGINX).exists() {
        skip!("nginx is not installed: run tests/setup");
    }
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let (mount, other) = (Mount::of(&bucket).flat().start(), bucket.client());
    let (port, directory) = (Port::new(), tempfile::tempdir().unwrap());
    let (here, root) = (directory.path().display(), mount.path().display());
    let config = format!(
        "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log crit;
        events {{ worker_connections 256; }}
        http {{
            access_log off; default_type text/plain;
            client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
            fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
            server {{
                listen {} reuseport; sendfile on; root {root};
                location /read/ {{ alias {root}/; sendfile off; }}
            }}
        }}",
        port.address(),
    );
    let _nginx = run(directory.path(), &port, &config);
    let (mut sent, mut cut, mut read) = (0, 0, 0);
    for n in 0..TIMES {
        let text = vec![b'A' + n; SIZE + usize::from(n)];
        // Every second time with the version before it still open.
        let old = (n % 2 == 1).then(|| fs::File::open(mount.file("key")).unwrap());
        other.put("key", text.clone());
        let (body, is_whole) = fetch(&port, "/read/key");
        assert!(is_whole && body == text, "sendfile off: {n}");
        read += 1;
        let (body, is_whole) = fetch(&port, "/key");
        assert!(body.iter().all(|byte| *byte == b'A' + n), "a mixture: {n}");
        match is_whole {
            true => sent += 1,
            false => cut += 1,
        }
        drop(old);
    }
    let line = format!(
        "nginx serves {TIMES} versions out of a mount: {read} whole by read(2); by sendfile(2) {sent} whole and {cut} cut, none mixed"
    );
    println!("{line}");
    report::append_line("pages", &line);
    assert_eq!((sent, cut), (TIMES / 2, TIMES / 2));
}

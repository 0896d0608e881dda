//! A real Jupyter server whose notebooks and texts lie in a mount, used as its pages use it: over its
//! contents API. It copies the file aside before it writes over it, in a process that lives for days.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bench::{Bench, THEIRS};
use crate::world::procs::{Output, Script};
use crate::world::proxy::Op;

/// Starts the server in the mount; `open`, `save` and `theirs` are what people do. Each answer of it is a
/// line of the output.
const SESSION: &str = r#"
import json, os, signal, socket, subprocess, sys, time, urllib.error, urllib.request
F, D = os.environ['F'], os.environ['D']
with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
server = subprocess.Popen(
    [os.environ['JUPYTER'], '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}',
     '--ServerApp.port_retries=0', '--IdentityProvider.token=', '--ServerApp.disable_check_xsrf=True',
     f'--ServerApp.root_dir={os.getcwd()}'],
    cwd=D, stdin=subprocess.DEVNULL, stdout=open(D + '/log', 'w'), stderr=subprocess.STDOUT)
def ask(path, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(
        f'http://127.0.0.1:{port}/api{path}', data, {'Content-Type': 'application/json'},
        method='PUT' if body else 'GET')
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
def open_text():
    return ask(f'/contents/{F}?type=file&format=text&content=1')[1]['content']
def save(text):
    status, answer = ask(f'/contents/{F}', {'type': 'file', 'format': 'text', 'content': text})
    print(status, answer.get('message', ''), flush=True)
def theirs(again=''): subprocess.run([os.environ['THEIRS'] + again, F], check=True)
try:
    for attempt in range(600):
        try:
            ask(''); break
        except OSError:
            assert server.poll() is None, open(D + '/log').read()
            time.sleep(0.1)
    else: sys.exit('no answer: ' + open(D + '/log').read())
    old = open_text()
"#;

const END: &str = "
finally:
    server.send_signal(signal.SIGTERM)
    server.wait(60)
";

fn server() -> Result<PathBuf, String> {
    let server = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-servers/jupyter_server/bin/jupyter-server");
    match server.is_file() {
        true => Ok(server),
        false => Err("jupyter-server is not installed".to_owned()),
    }
}

fn session(server: &Path, deeds: &str) -> String {
    let deeds = deeds.lines().map(|line| format!("    {line}\n"));
    let text = format!("{SESSION}{}{END}", deeds.collect::<String>());
    let quoted = text.replace('\'', "'\\''");
    format!("JUPYTER={} exec python3 -c '{quoted}'", server.display())
}

fn run(bench: &Bench, server: &Path, key: &str, deeds: &str) -> Output {
    let script = Script::bash(&session(server, deeds)).deadline(Duration::from_secs(180));
    bench.script(key, script).run()
}

/// What the page was told of each save.
fn answers(done: &Output) -> Vec<&str> {
    assert_eq!(done.code, Some(0), "{done:#?}");
    done.stdout.lines().collect()
}

#[test]
fn jupyter_saves_with_one_put_and_leaves_no_other_key() {
    let server = or_skip!(server());
    let bench = or_skip!(Bench::new([("alone.txt", "old\n")]));
    let deeds = "save(old + 'one\\n')\nsave(old + 'two\\n')";
    let (done, log) = bench.requests_of(2, || run(&bench, &server, "alone.txt", deeds));
    let told = answers(&done);
    assert!(
        told.len() == 2 && told.iter().all(|said| said.starts_with("200")),
        "{told:?}"
    );
    assert_eq!(bench.bucket().text("alone.txt"), "old\ntwo\n");
    let counts = log.counts();
    println!("two saves by Jupyter: {}", counts.line());
    assert_eq!((counts.of(Op::Put), counts.of(Op::Delete)), (2, 0), "{log}");
    assert_eq!(bench.bucket().keys(), ["alone.txt"]);
    assert_eq!(bench.losses(), 0);
}

#[test]
fn jupyter_is_refused_when_another_machine_saved_and_replaces_only_what_it_was_told_of() {
    let server = or_skip!(server());
    let bench = or_skip!(Bench::new([("raced.txt", "old\n"), ("twice.txt", "old\n")]));
    let deeds =
        "theirs()\nsave(old + 'mine\\n')\nprint(open(F).read().strip())\nsave(old + 'mine\\n')";
    let done = run(&bench, &server, "raced.txt", deeds);
    let told = answers(&done);
    println!("{told:#?}");
    assert!(
        told[0].starts_with("500") && told[0].contains("temporarily unavailable"),
        "{told:?}"
    );
    assert_eq!(told[1], THEIRS.trim_end());
    assert!(told[2].starts_with("200"), "{told:?}");
    assert_eq!(bench.bucket().text("raced.txt"), "old\nmine\n");
    assert_eq!(bench.conflicts("raced.txt").len(), 1);

    let deeds = "theirs()\nsave(old + 'mine\\n')\ntheirs('-again')\nsave(old + 'mine\\n')";
    let done = run(&bench, &server, "twice.txt", deeds);
    let told = answers(&done);
    assert!(
        told.len() == 2 && told.iter().all(|said| said.starts_with("500")),
        "{told:?}"
    );
    assert!(bench.bucket().text("twice.txt").ends_with(THEIRS));
    assert_eq!(bench.conflicts("twice.txt").len(), 2);
    assert_eq!(bench.bucket().keys(), ["raced.txt", "twice.txt"]);
}

#[test]
fn what_jupyter_wrote_when_another_machine_was_faster_by_a_moment_is_rescued() {
    let server = or_skip!(server());
    let bench = or_skip!(Bench::new([("late.txt", "old\n")]));
    let script = session(&server, "save(old + 'mine\\n')");
    let done = bench.run_into_a_late_save("late.txt", "late.txt", &script);
    let told = answers(&done);
    assert!(told.len() == 1 && told[0].starts_with("500"), "{told:?}");
    assert_eq!(bench.bucket().text("late.txt"), THEIRS);
    assert_eq!(bench.rescued("late.txt"), ["old\nmine\n"]);
}

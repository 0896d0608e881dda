//! Loses races, one after the other, and says what Rust showed of each. A program of its own, not a
//! module of the tests.
//!
//! Orders come on standard input, a line each: `STEP KEY`. The program reads KEY and prepares the
//! step, says `ready`, waits for the line `go`, does it, says what each call came to
//! (`CALL: RESULT`), and ends with `done`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};

const TEXT: &[u8] = b"from rust";

fn call<T>(name: &str, result: io::Result<T>) {
    match result {
        Ok(_) => println!("{name}: ok"),
        Err(error) => println!("{name}: {:?}", error.kind()),
    }
}

fn race() {
    println!("ready");
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "go\n");
}

fn fsync(key: &str) {
    fs::read(key).unwrap();
    let mut file = File::options().read(true).write(true).open(key).unwrap();
    file.set_len(0).unwrap();
    file.write_all(TEXT).unwrap();
    race();
    call("sync_all", file.sync_all());
    call("write", file.write_all(b", and more"));
    drop(file);
    println!("drop: nothing");
}

fn close(key: &str) {
    fs::read(key).unwrap();
    let mut file = File::create(key).unwrap();
    file.write_all(TEXT).unwrap();
    race();
    drop(file);
    println!("drop: nothing");
}

fn rename(key: &str) {
    fs::read(key).unwrap();
    let new = format!("{key}.new");
    fs::write(&new, TEXT).unwrap();
    race();
    call("rename", fs::rename(new, key));
}

fn open(key: &str) {
    fs::read(key).unwrap();
    race();
    call("open", File::create(key));
}

fn whole(key: &str) {
    race();
    call("fs::write", fs::write(key, TEXT));
}

fn buffered(key: &str) {
    race();
    let mut file = BufWriter::new(File::create(key).unwrap());
    file.write_all(TEXT).unwrap();
    call("BufWriter flush", file.flush());
    drop(file);
    println!("drop: nothing");
}

fn main() {
    let mut line = String::new();
    while io::stdin().read_line(&mut line).unwrap() > 0 {
        let (step, key) = line.trim_end().split_once(' ').unwrap();
        match step {
            "fsync" => fsync(key),
            "close" => close(key),
            "rename" => rename(key),
            "open" => open(key),
            "whole" => whole(key),
            "buffered" => buffered(key),
            _ => panic!("{step} is no step"),
        }
        println!("done");
        line.clear();
    }
}

//! A history as a story: one line for each call and each change of the store, in their order.

use std::time::Duration;

use bytes::Bytes;

use super::plan::Plan;
use super::server::{By, Event};
use super::world::{Did, Record, World};

fn text(bytes: &Bytes) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\n', "");
    match text.chars().count() {
        0..=60 => format!("{text:?}"),
        n => format!("{:?}..({n})", text.chars().take(48).collect::<String>()),
    }
}

fn of_call(world: &World, record: &Record) -> String {
    let files = world.files();
    let path = |file: &usize| files[*file].path.clone();
    let said = match &record.did {
        Did::Open { path, how, file } => {
            let mut flags = String::new();
            for (is, letter) in [
                (how.read, 'r'),
                (how.write, 'w'),
                (how.append, 'a'),
                (how.create, 'c'),
                (how.exclusive, 'x'),
                (how.truncate, 't'),
            ] {
                flags.extend(is.then_some(letter));
            }
            let made = file.is_some_and(|file| files[file].created);
            format!(
                "open {path} {flags} #{file:?}{}",
                if made { " created" } else { "" }
            )
        }
        Did::Read { file, bytes, whole } => {
            let end = if *whole { " (the end)" } else { "" };
            format!("read {} #{file}: {}{end}", path(file), text(bytes))
        }
        Did::Write { file } => format!("write {} #{file}", path(file)),
        Did::Cut { file } => format!("ftruncate {} #{file}", path(file)),
        Did::Save { file, why, want } => {
            let want = want.as_ref().map(|want| text(&want.bytes));
            format!(
                "{why:?} {} #{file} {}",
                path(file),
                want.unwrap_or_default()
            )
        }
        Did::Rename { from, to, .. } => format!("rename {from} {to}"),
        other => format!("{other:?}"),
    };
    let result = match record.result {
        None => "is never answered".to_owned(),
        Some(Ok(())) => "ok".to_owned(),
        Some(Err(errno)) => format!("{errno:?}"),
    };
    format!(
        "step {} mount {}.{} pid {}: {said} -> {result} [{}..{}]",
        record.step as i32,
        record.mount,
        record.epoch,
        record.pid,
        seconds(record.at),
        seconds(record.until)
    )
}

fn seconds(time: Duration) -> String {
    match time {
        Duration::MAX => "never".to_owned(),
        time => format!("{:.3}", time.as_secs_f64()),
    }
}

fn of_event(world: &World, event: &Event) -> String {
    let by = match event.by {
        By::Foreign => "somebody else".to_owned(),
        By::Call(usize::MAX, _) => "nobody".to_owned(),
        By::Call(call, copy) => {
            let records = world.records();
            let copy = if copy > 0 { " (again)" } else { "" };
            records
                .get(call)
                .map(|record| {
                    format!(
                        "mount {} pid {} step {}{copy}",
                        record.mount, record.pid, record.step as i32
                    )
                })
                .unwrap_or_default()
        }
    };
    let value = |value: &Option<super::server::Value>| match value {
        Some(value) => format!("{} {}", value.version, text(&value.bytes)),
        None => "nothing".to_owned(),
    };
    format!(
        "    [{}] {} by {by}: {} => {}",
        seconds(event.at),
        event.key,
        value(&event.before),
        value(&event.after)
    )
}

/// Everything that happened.
pub(crate) fn tell(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let records = world.records().clone();
    for record in &records {
        // Reads and writes are told when they ended, saves too: what the store did is told before.
        lines.push((record.ended.min(u64::MAX - 1), of_call(world, record)));
    }
    for event in world.server.history() {
        lines.push((event.stamp, of_event(world, &event)));
    }
    lines.sort_by_key(|(stamp, _)| *stamp);
    lines.into_iter().map(|(_, line)| line).collect()
}

impl Plan {
    /// It, to be read: one step a line.
    pub(crate) fn tell(&self) -> String {
        let Self {
            seed,
            mounts,
            versions,
            ttl,
            weather,
            doubles,
            pieces,
            ..
        } = self;
        let mut text = format!(
            "seed {seed}: {mounts} mounts, versions {versions:?}, ttl {ttl:?}, weather {weather}, \
             doubles {doubles}, pieces {pieces}"
        );
        for step in &self.steps {
            let line = format!(
                "\n  {:>7} step {}: {:?}",
                seconds(step.at),
                step.number,
                step.what
            );
            text.push_str(&line);
        }
        text
    }
}

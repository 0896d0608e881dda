//! A [`View`] written down, to fit a screen or a page.
//!
//! Pure: it is given the size, and makes lines of at most that width.

use std::fmt::Write;

use super::view::{Rate, Share, View};
use crate::cli::one_line::one_line;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// In columns.
    pub(super) width: usize,
    /// In lines; the keys get what the rest leaves.
    pub(super) height: usize,
}

/// How many kinds of operation are shown: the most frequent.
const OPERATIONS: usize = 6;

/// The lines of a view.
pub(super) fn lines(view: &View, size: Size) -> Vec<String> {
    let mut lines = vec![format!(
        "{} on {}   up {}",
        view.source,
        view.at,
        clock(view.uptime_seconds)
    )];
    lines.push(String::new());
    lines.push(format!(
        "OPERATIONS {:>9}/s   waiting {}   errors: {}",
        number(all_together(&view.operations)),
        view.waiting,
        shares(&view.errors)
    ));
    lines.extend(rates(&view.operations));
    lines.push(String::new());
    lines.push(format!(
        "REQUESTS   {:>9}/s   in flight {}   {}",
        number(all_together(&view.requests)),
        view.in_flight,
        shares(&view.outcomes)
    ));
    lines.extend(rates(&view.requests));
    lines.push(format!(
        "  sent {}/s, received {}/s",
        bytes(view.sent_bytes_per_second),
        bytes(view.received_bytes_per_second)
    ));
    lines.push(String::new());
    let mut saves = "SAVES".to_owned();
    for count in &view.saves {
        // Writing to a string does not fail.
        let _ = write!(saves, "   {} {}", count.name, count.total);
        if count.of_late > 0.0 {
            let _ = write!(saves, " (+{})", count.of_late);
        }
    }
    lines.push(saves);
    let mut caches = format!("CACHES   {}", bytes(view.cache_bytes));
    for cache in &view.caches {
        let all = cache.hits + cache.misses;
        let _ = match all > 0.0 {
            true => write!(
                caches,
                "   {} {:.0}% of {all}",
                cache.name,
                cache.hits / all * 100.0
            ),
            false => write!(caches, "   {} -", cache.name),
        };
    }
    lines.push(caches);
    lines.push(format!(
        "OPEN   handles {}   drafts {} ({})   scratch files {}",
        view.open_handles,
        view.drafts,
        bytes(view.draft_bytes),
        view.scratch_files
    ));
    lines.push(String::new());
    lines.push(format!(
        "{:>9} {:>7} {:>9} {:>9}  HOTTEST KEYS",
        "OPS", "ERRORS", "EAGAIN", "BYTES"
    ));
    if view.keys.is_empty() {
        lines.push("  (nothing was done of late)".to_owned());
    }
    for heat in &view.keys {
        lines.push(format!(
            "{:>9} {:>7} {:>9} {:>9}  {}",
            heat.operations,
            heat.errors,
            heat.conflicts,
            bytes(heat.bytes as f64),
            heat.key
        ));
    }
    lines.truncate(size.height);
    for line in &mut lines {
        let shown = one_line(line.trim_end());
        *line = shown.chars().take(size.width).collect();
    }
    lines
}

/// How many keys fit on a screen of this height.
pub(super) fn room_for_keys(height: usize) -> usize {
    // All other lines, with as many operations and requests as are shown at most.
    height.saturating_sub(13 + OPERATIONS + 5).max(3)
}

/// Not `sum()`: of nothing that is -0.
fn all_together(rates: &[Rate]) -> f64 {
    rates.iter().fold(0.0, |sum, rate| sum + rate.per_second)
}

fn rates(rates: &[Rate]) -> impl Iterator<Item = String> {
    let shown = rates.iter().take(OPERATIONS);
    shown.map(|rate| {
        let mean = rate
            .mean_ms
            .map_or_else(|| "-".to_owned(), |mean| format!("{mean:.3} ms"));
        let most = rate
            .p95_ms
            .map_or_else(|| "-".to_owned(), |most| format!("<= {most} ms"));
        format!(
            "  {:<12} {:>6}/s   mean {mean:>11}   95% {most}",
            rate.name,
            number(rate.per_second)
        )
    })
}

fn shares(shares: &[Share]) -> String {
    if shares.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<_> = shares
        .iter()
        .map(|share| format!("{} {}/s", share.name, number(share.per_second)))
        .collect();
    texts.join(", ")
}

fn number(number: f64) -> String {
    match number {
        number if number >= 100.0 || number == 0.0 => format!("{number:.0}"),
        number => format!("{number:.1}"),
    }
}

fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut rest = bytes;
    let mut units = units.into_iter();
    let mut unit = units.next().unwrap_or_default();
    while rest >= 1024.0
        && let Some(next) = units.next()
    {
        rest /= 1024.0;
        unit = next;
    }
    match unit {
        "B" => format!("{rest:.0} B"),
        _ => format!("{rest:.1} {unit}"),
    }
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        days => format!("{days}d {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::heat::Heat;
    use super::super::sample::{Between, Sample};
    use super::*;
    use std::time::Duration;

    fn view(keys: usize) -> View {
        let text = "etagfs_operations_total{op=\"read\",errno=\"OK\"} 10\n";
        let (before, after) = (Sample::default(), Sample::parse(text));
        let between = Between {
            before: &before,
            after: &after,
            time: Duration::from_secs(1),
        };
        let keys = (0..keys).map(|n| Heat {
            key: format!("store/a key with a long name {n}"),
            operations: 5,
            ..Heat::default()
        });
        View::new("s3://b", "/mnt", &between, keys.collect())
    }

    #[test]
    fn it_fits_every_screen() {
        for (width, height) in [(80, 24), (20, 5), (200, 60), (1, 1)] {
            let size = Size { width, height };
            let lines = lines(&view(room_for_keys(height)), size);
            assert!(lines.len() <= height);
            assert!(lines.iter().all(|line| line.chars().count() <= width));
        }
        let size = Size {
            width: 80,
            height: 24,
        };
        let text = lines(&view(3), size).join("\n");
        assert!(
            text.contains("s3://b on /mnt") && text.contains("read"),
            "{text}"
        );
        assert!(text.contains("long name 0"), "{text}");
    }

    #[test]
    fn no_key_commands_the_terminal() {
        let mut view = view(1);
        view.keys[0].key = "a\x1b]0;x\x07\u{9b}2J\nb".to_owned();
        view.at = "/mnt/\x1b[31m".to_owned();
        let size = Size {
            width: 200,
            height: 60,
        };
        for line in lines(&view, size) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn sizes_and_times_are_for_the_eye() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(5e15), "4547.5 TiB");
        assert_eq!(clock(3_661.0), "01:01:01");
        assert_eq!(clock(90_000.0), "1d 01:00:00");
        assert_eq!(
            (number(0.0), number(1.26), number(1234.5)),
            ("0".to_owned(), "1.3".to_owned(), "1234".to_owned())
        );
    }
}

//! The numbers of a mount at one moment, and what happened between two: from the text of
//! `.etagfs/stats` to differences.
//!
//! Pure. It knows the form of the text, not what its metrics mean; `view.rs` does.

use std::collections::BTreeMap;
use std::time::Duration;

/// The labels of a series, by name.
pub(super) type Labels = BTreeMap<String, String>;

/// All series of a mount at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample(Vec<(String, Labels, f64)>);

impl Sample {
    /// Reads the Prometheus text format as our own metrics are written in it. What is no sample is
    /// left out.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(series).collect())
    }

    /// The series of a name.
    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Labels, f64)> {
        let named = self.0.iter().filter(move |(it, _, _)| it == name);
        named.map(|(_, labels, value)| (labels, *value))
    }

    /// The sum of all series of a name that have this label.
    pub(super) fn sum(&self, name: &str, label: Option<(&str, &str)>) -> f64 {
        let fits = |labels: &Labels| {
            label.is_none_or(|(key, value)| labels.get(key).is_some_and(|it| it == value))
        };
        let fitting = self.of(name).filter(|(labels, _)| fits(labels));
        fitting.map(|(_, value)| value).sum()
    }

    /// The sum of all series of a name that have both labels.
    pub(super) fn both(&self, name: &str, one: (&str, &str), two: (&str, &str)) -> f64 {
        let has = |labels: &Labels, (key, value): (&str, &str)| {
            labels.get(key).is_some_and(|it| it == value)
        };
        let fitting = self.of(name).filter(|(it, _)| has(it, one) && has(it, two));
        fitting.map(|(_, value)| value).sum()
    }

    /// The values of a label that the series of a name have.
    pub(super) fn values(&self, name: &str, label: &str) -> Vec<String> {
        let mut values: Vec<_> = self
            .of(name)
            .filter_map(|(labels, _)| labels.get(label).cloned())
            .collect();
        values.sort();
        values.dedup();
        values
    }
}

fn series(line: &str) -> Option<(String, Labels, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let mut found = Labels::new();
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once('=')?;
        found.insert(key.to_owned(), value.trim_matches('"').to_owned());
    }
    Some((name.to_owned(), found, value.parse().ok()?))
}

/// What happened between two samples.
#[derive(Clone, Debug)]
pub(super) struct Between<'a> {
    pub(super) before: &'a Sample,
    pub(super) after: &'a Sample,
    pub(super) time: Duration,
}

impl Between<'_> {
    /// How much a counter grew. Not below nothing: a mount that was made anew begins at zero.
    pub(super) fn growth(&self, name: &str, label: Option<(&str, &str)>) -> f64 {
        (self.after.sum(name, label) - self.before.sum(name, label)).max(0.0)
    }

    /// How fast a counter grew, in a second.
    pub(super) fn rate(&self, name: &str, label: Option<(&str, &str)>) -> f64 {
        self.growth(name, label) / self.time.as_secs_f64().max(1e-3)
    }

    /// The mean of a histogram, in milliseconds.
    pub(super) fn mean_ms(&self, name: &str, label: (&str, &str)) -> Option<f64> {
        let count = self.growth(&format!("{name}_count"), Some(label));
        let sum = self.growth(&format!("{name}_sum"), Some(label));
        (count > 0.0).then(|| sum / count * 1e3)
    }

    /// The upper end of the histogram's bucket below which this part of its values lies, in milliseconds; infinite
    /// above the last.
    pub(super) fn quantile_ms(&self, name: &str, label: (&str, &str), part: f64) -> Option<f64> {
        let bucket = format!("{name}_bucket");
        let all = self.growth(&format!("{name}_count"), Some(label));
        if all <= 0.0 {
            return None;
        }
        let mut ends: Vec<_> = self
            .after
            .of(&bucket)
            .filter(|(labels, _)| labels.get(label.0).is_some_and(|it| it == label.1))
            .filter_map(|(labels, value)| {
                let end = labels
                    .get("le")?
                    .replace("+Inf", "inf")
                    .parse::<f64>()
                    .ok()?;
                Some((end, value, labels))
            })
            .map(|(end, after, labels)| {
                let before = self.before.of(&bucket).find(|(it, _)| *it == labels);
                (end, after - before.map_or(0.0, |(_, value)| value))
            })
            .collect();
        ends.sort_by(|one, two| one.0.total_cmp(&two.0));
        let end = ends.iter().find(|(_, below)| *below >= part * all)?.0;
        Some(end * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
# HELP n_total N.
# TYPE n_total counter
n_total{op=\"read\",errno=\"OK\"} 10
up 5
t_bucket{op=\"read\",le=\"0.001\"} 8
t_bucket{op=\"read\",le=\"0.1\"} 10
t_bucket{op=\"read\",le=\"+Inf\"} 10
t_sum{op=\"read\"} 0.1
t_count{op=\"read\"} 10
";
    const AFTER: &str = "\
n_total{op=\"read\",errno=\"OK\"} 28
n_total{op=\"read\",errno=\"EIO\"} 2
up 7
t_bucket{op=\"read\",le=\"0.001\"} 17
t_bucket{op=\"read\",le=\"0.1\"} 28
t_bucket{op=\"read\",le=\"+Inf\"} 30
t_sum{op=\"read\"} 0.3
t_count{op=\"read\"} 30
";

    #[test]
    fn rates_means_and_quantiles_are_of_the_time_between() {
        let (before, after) = (Sample::parse(BEFORE), Sample::parse(AFTER));
        let between = Between {
            before: &before,
            after: &after,
            time: Duration::from_secs(2),
        };
        let read = ("op", "read");
        assert_eq!(between.rate("n_total", Some(read)), 10.0);
        assert_eq!(between.growth("n_total", Some(("errno", "EIO"))), 2.0);
        assert_eq!(after.values("n_total", "errno"), ["EIO", "OK"]);
        let mean = between.mean_ms("t", read).unwrap();
        assert!((mean - 10.0).abs() < 1e-9, "{mean}");
        // 9 of 20 are below a millisecond, 18 below 100.
        assert_eq!(between.quantile_ms("t", read, 0.45), Some(1.0));
        assert_eq!(between.quantile_ms("t", read, 0.9), Some(100.0));
        assert_eq!(between.quantile_ms("t", read, 0.95), Some(f64::INFINITY));
        assert_eq!(between.quantile_ms("t", ("op", "write"), 0.5), None);
    }

    #[test]
    fn what_began_anew_did_not_shrink() {
        let (before, after) = (Sample::parse("n 10\n"), Sample::parse("n 3\n"));
        let between = Between {
            before: &before,
            after: &after,
            time: Duration::from_secs(1),
        };
        assert_eq!(between.growth("n", None), 0.0);
    }
}

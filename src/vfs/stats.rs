//! The present state of a mount: what its gauges show.
//!
//! It counts what the mount has, without a request. The counters are in `telemetry`.

use super::Vfs;
use super::handles::Handle;
use crate::telemetry::{Cache, Levels};

impl Vfs {
    /// All metrics, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        self.telemetry.metrics.text(&self.levels())
    }

    /// Notes that a cache was asked.
    pub(super) fn looked_up(&self, cache: Cache, is_hit: bool) {
        self.telemetry.metrics.looked_up(cache, is_hit);
    }

    fn levels(&self) -> Levels {
        let mut levels = Levels {
            uptime: self.started.elapsed(),
            rescues: self.keeper.levels(),
            ..Levels::default()
        };
        {
            let scratch_dir = self.scratch_dir();
            for (_, _, scratch) in scratch_dir.all() {
                levels.scratch.0 += 1;
                levels.scratch.1 += scratch.shape().map_or(0, |(size, _)| size);
            }
        }
        let table = self.table();
        let sizes = table.sizes();
        levels.inodes = sizes.inodes;
        levels.moved_away = sizes.moved_away;
        (levels.cached_values, levels.cached_bytes) = sizes.values;
        levels.cached_names = sizes.names;
        levels.readings = (sizes.shown.readings, sizes.shown.bytes);
        self.telemetry
            .metrics
            .forgot_readings(sizes.shown.forgotten);
        for (_, handle) in table.all_handles() {
            let kind = match &**handle {
                Handle::Reader(_) => 0,
                Handle::Writer(writer) => {
                    if let Some(shape) = writer.shape() {
                        levels.drafts.0 += 1;
                        levels.drafts.1 += shape.size();
                    }
                    1
                }
                Handle::Scratch(_) => 2,
                Handle::Dir(..) => 3,
                Handle::Fixed(_) | Handle::Access(_) => 4,
            };
            levels.handles[kind] += 1;
        }
        levels
    }
}

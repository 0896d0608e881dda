//! The layers around a bucket that make its writes certain, in their order.

use std::sync::Arc;

use super::limit::Places;
use super::{Backend, Deadlines, Limited, Metered, Queued, Settled};
use crate::telemetry::Telemetry;

/// A bucket whose requests are counted, and repeated or looked after where their answers are lost (W6); of which each
/// kind has its places, and waits in a queue while the store does not answer (A1).
pub fn certain(
    bucket: Arc<dyn Backend>,
    deadlines: Deadlines,
    places: Places,
    telemetry: Arc<Telemetry>,
) -> Arc<dyn Backend> {
    let patience = deadlines.operation;
    let metered = Metered::new(bucket, Arc::clone(&telemetry));
    let settled = Settled::new(Arc::new(metered), deadlines);
    let limited = Limited::new(Arc::new(settled), places, patience, telemetry);
    Arc::new(Queued::new(Arc::new(limited), patience))
}

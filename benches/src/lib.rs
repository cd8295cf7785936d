//! What the benches share.

use std::time::Duration;

use criterion::Criterion;

/// Seconds for a whole bench, not minutes.
pub(crate) fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(500))
}

//! What the benches share.
#![forbid(unsafe_code)]

use std::time::Duration;

use criterion::Criterion;

/// Seconds for a whole bench, not minutes.
#[must_use]
pub fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(500))
}

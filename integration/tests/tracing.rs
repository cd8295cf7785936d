//! What the feature `tracing` tells of a connection, over smol.

#[macro_use]
#[allow(dead_code, reason = "each scenario needs a part of it")]
mod support;

#[path = "../../tests/scenarios/tracing.rs"]
mod scenarios;

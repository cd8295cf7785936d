//! What all adapters do, over compio.

#[macro_use]
#[allow(dead_code, reason = "each scenario needs a part of it")]
mod support;

#[path = "../../../tests/scenarios/adapters.rs"]
mod scenarios;

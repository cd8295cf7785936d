//! What every I/O loop promises, over smol.

#[macro_use]
#[allow(dead_code, reason = "each scenario needs a part of it")]
mod support;

#[path = "../../tests/scenarios/loops.rs"]
#[allow(dead_code, reason = "the rest is for the tests of one adapter")]
mod scenarios;

#[path = "../../tests/scenarios/asynchronous.rs"]
mod asynchronous;

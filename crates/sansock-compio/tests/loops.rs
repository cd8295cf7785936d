//! What every I/O loop promises, over compio.

#![allow(clippy::duration_suboptimal_units, reason = "the scenarios are also for Rust 1.88, which lacks larger units")]

#[macro_use]
#[allow(dead_code, reason = "each scenario needs a part of it")]
mod support;

#[path = "../../../tests/scenarios/loops.rs"]
#[allow(dead_code, reason = "the rest is for the tests of one adapter")]
mod scenarios;

#[path = "../../../tests/scenarios/asynchronous.rs"]
mod asynchronous;

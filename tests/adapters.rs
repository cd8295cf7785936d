//! The scenarios of all adapters, over threads and tokio. `sansock-compio` and `integration` run them over compio and
//! smol.
#![cfg(all(feature = "blocking", feature = "getrandom"))]

#[path = "support/runtimes.rs"]
#[macro_use]
mod support;

#[path = "scenarios/adapters.rs"]
mod scenarios;

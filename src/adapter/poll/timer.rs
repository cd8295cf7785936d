//! What rings at a deadline: [`Timer`], for transports that bring no timer of their own.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use std::{boxed::Box, time::Instant};

/// The timer of a runtime. [`Sleep`] makes one of a function.
pub trait Timer: Unpin {
    /// Ready at `at`, or soon after it. The same `at` is polled again and again; another one takes its place.
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()>;
}

/// A [`Timer`] from a function that makes a future which ends at an instant, such as `smol::Timer::at`.
pub struct Sleep<F, S> {
    sleep: F,
    running: Option<(Instant, Pin<Box<S>>)>,
}

impl<F: FnMut(Instant) -> S, S: Future> Sleep<F, S> {
    /// `sleep` is called once for each deadline that is waited for.
    pub fn new(sleep: F) -> Self {
        Self { sleep, running: None }
    }
}

impl<F: FnMut(Instant) -> S + Unpin, S: Future> Timer for Sleep<F, S> {
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let running = match &mut self.running {
            Some((until, running)) if *until == at => running,
            other => &mut other.insert((at, Box::pin((self.sleep)(at)))).1,
        };
        let result = running.as_mut().poll(cx).map(|_| ());
        if result.is_ready() {
            self.running = None;
        }
        result
    }
}

impl<F, S> fmt::Debug for Sleep<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("until", &self.running.as_ref().map(|(until, _)| until)).finish_non_exhaustive()
    }
}

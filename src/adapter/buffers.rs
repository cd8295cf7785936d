//! The buffers of a thread.

use core::cell::Cell;

use crate::{Buffers, Driver, driver::Machine};

std::thread_local! {
    /// What the connections of a thread read into and write from. They are taken out while they are in use: a handler
    /// may drive another connection.
    static BUFFERS: Cell<Buffers> = const { Cell::new(Buffers::new()) };
}

/// Lends the buffers of the thread to the driver of `wire`, for a turn that reads.
pub(super) fn with_buffers<W, M: Machine, T>(
    wire: &mut W,
    driver: impl Fn(&mut W) -> &mut Driver<M>,
    turn: impl FnOnce(&mut W) -> T,
) -> T {
    let mut buffers = BUFFERS.take();
    driver(wire).attach(&mut buffers);
    let result = turn(wire);
    driver(wire).detach(&mut buffers);
    BUFFERS.set(buffers);
    result
}

/// Lends them to a driver that has none, to queue output in.
pub(super) fn lend<M: Machine>(driver: &mut Driver<M>) {
    if !driver.has_buffers() {
        let mut buffers = BUFFERS.take();
        driver.attach(&mut buffers);
        BUFFERS.set(buffers);
    }
}

/// Takes them back, if nothing is in them.
pub(super) fn take_back<M: Machine>(driver: &mut Driver<M>) {
    if driver.has_buffers() && !driver.output_waits() {
        let mut buffers = BUFFERS.take();
        driver.detach(&mut buffers);
        BUFFERS.set(buffers);
    }
}

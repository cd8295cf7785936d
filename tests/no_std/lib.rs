//! An echo server and a client without `std`. `run.sh` builds it for a bare-metal target and links it against nothing.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    panic::PanicInfo,
    ptr, slice,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::BytesMut;
use sansock::{CloseCode, CloseFrame, Config, Connection, Event, Timestamp};

/// Receives from `input`, which is overwritten, and writes at most `capacity` bytes of answers to `output`. Returns how
/// many there were; 0 also when the connection failed.
///
/// # Safety
///
/// `input` points to `len` bytes, `output` to `capacity` bytes, which do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sansock_echo(input: *mut u8, len: usize, output: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller's word.
    let (input, output) =
        unsafe { (slice::from_raw_parts_mut(input, len), slice::from_raw_parts_mut(output, capacity)) };
    let mut out = BytesMut::new();
    if echo(input, &mut out).is_none() || out.len() > output.len() {
        return 0;
    }
    output[..out.len()].copy_from_slice(&out);
    out.len()
}

fn echo(mut input: &mut [u8], out: &mut BytesMut) -> Option<()> {
    let mut connection = open(&mut input, out)?;
    while let Some(event) = connection.receive(&mut input, out).ok()? {
        match event {
            Event::Text(text) => connection.send_text(&text, out).ok()?,
            Event::Binary(data) => connection.send_binary(&data, out).ok()?,
            _ => {}
        }
    }
    connection.handle_timeout(Timestamp::ZERO, out).ok()
}

#[cfg(feature = "handshake")]
fn open(input: &mut &mut [u8], out: &mut BytesMut) -> Option<Connection> {
    use sansock::server;

    let request = server::Handshake::new(&Config::default()).receive(input, out).ok()??;
    request.accept(&server::Response::new(), out).ok()
}

#[cfg(not(feature = "handshake"))]
fn open(_: &mut &mut [u8], _: &mut BytesMut) -> Option<Connection> {
    Some(Connection::server(&Config::default()))
}

/// Writes a client's "hello" and Close to `output`, with masking keys from `seed`. Returns how many bytes there were.
///
/// # Safety
///
/// `seed` points to 32 bytes, `output` to `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sansock_greet(seed: *const [u8; 32], output: *mut u8, capacity: usize) -> usize {
    // SAFETY: the caller's word.
    let (seed, output) = unsafe { (*seed, slice::from_raw_parts_mut(output, capacity)) };
    let mut connection = Connection::client(&Config::default(), seed);
    let mut out = BytesMut::new();
    let goodbye = CloseFrame::new(CloseCode::NORMAL, "");
    let sent = connection.send_text("hello", &mut out).and_then(|()| connection.close(Some(goodbye), &mut out));
    if sent.is_err() || out.len() > output.len() {
        return 0;
    }
    let bytes: Vec<u8> = out.into();
    output[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
}

/// Hands out 64 KiB from the front, and takes nothing back.
struct Bump {
    memory: UnsafeCell<[u8; 64 << 10]>,
    used: AtomicUsize,
}

// SAFETY: each byte of `memory` is handed out once, by the atomic.
unsafe impl Sync for Bump {}

// SAFETY: what is handed out lies in `memory`, aligned, and does not overlap.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().cast::<u8>();
        // Room for the worst alignment; the memory itself has none.
        let claim = layout.size() + layout.align();
        let start = self.used.fetch_add(claim, Ordering::Relaxed);
        if start + claim > size_of_val(&self.memory) {
            return ptr::null_mut();
        }
        // SAFETY: just checked to lie within.
        let free = unsafe { base.add(start) };
        // SAFETY: less than `align` further, for which there is room.
        unsafe { free.add(free.align_offset(layout.align())) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump { memory: UnsafeCell::new([0; 64 << 10]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

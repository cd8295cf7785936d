//! Every peer, driven in the fastest way its documentation recommends.

use crate::{
    memio::{Mem, MemIo, Mode},
    work::{App, Op, Work},
};
use std::{any::Any, pin::Pin, sync::Arc};

pub mod fastws;
pub mod floor;
pub mod ours;
pub mod sansio;
pub mod sockudo;
pub mod soketto_peer;
pub mod tokio_ws;
pub mod tung;
pub mod web_socket_peer;
#[cfg(feature = "wslay")]
pub mod wslay;
pub mod wtx_peer;
pub mod yawc_peer;

/// One peer doing one piece of work, set up once, run many times.
pub trait Case {
    /// One batch: `work.n` messages (one handshake, for the handshake work).
    fn run(&mut self);
    fn app(&mut self) -> &mut App;
    fn mem(&mut self) -> &mut Mem;
}

/// An idle connection kept for the memory figures.
pub enum Idle {
    /// Handshake, echo of one message, then pending for ever.
    Fut(Pin<Box<dyn Future<Output = ()>>>),
    /// The same already done; the object a program would keep.
    Obj(Box<dyn Any>),
}

pub struct Peer {
    pub name: &'static str,
    /// How it is driven and what it does or does not do. Goes into the report.
    pub notes: &'static str,
    pub make: fn(&Arc<Work>) -> Option<Box<dyn Case>>,
    /// A server connection over a transport that gives [`crate::memio::request_then`]
    /// of one masked text frame; `true`: with permessage-deflate negotiated.
    pub idle: Option<fn(MemIo, bool) -> Option<Idle>>,
}

pub struct Gen<S, F> {
    s: S,
    f: F,
    app: App,
    w: Arc<Work>,
    mem: Mem, // last: dropped after what points to it
}

impl<S, F: FnMut(&mut S, &mut App, &Work)> Case for Gen<S, F> {
    fn run(&mut self) {
        (self.f)(&mut self.s, &mut self.app, &self.w)
    }
    fn app(&mut self) -> &mut App {
        &mut self.app
    }
    fn mem(&mut self) -> &mut Mem {
        &mut self.mem
    }
}

pub fn case<S: 'static, F: FnMut(&mut S, &mut App, &Work) + 'static>(
    w: &Arc<Work>,
    mem: Mem,
    s: S,
    f: F,
) -> Option<Box<dyn Case>> {
    Some(Box::new(Gen { s, f, app: App::new(), w: w.clone(), mem }))
}

/// The transport for a piece of work.
pub fn mem_for(w: &Work) -> Mem {
    let mode = match w.op {
        Op::HandshakeServer => Mode::Once,
        Op::HandshakeClient => Mode::Respond,
        _ => Mode::Cyclic,
    };
    Mem::new(w.wire.clone(), w.chunk, mode)
}

/// For the peers that only know no_context_takeover: the same payloads so compressed.
pub fn mem_without_takeover(w: &Work) -> Mem {
    let mut v = Vec::new();
    for p in &w.payloads {
        let mut z = flate2::Compress::new(flate2::Compression::new(6), false);
        let d = crate::work::deflate_message(&mut z, p);
        crate::work::put_frame(&mut v, true, true, if w.text() { 1 } else { 2 }, Some([7, 91, 130, 23]), &d);
    }
    Mem::new(v.into(), w.chunk, Mode::Cyclic)
}

/// Rewinds a handshake transport.
#[inline]
pub fn rewind(io: &mut MemIo) {
    let s = io.st();
    s.pos = 0;
    if s.mode == Mode::Respond {
        s.src = bytes::Bytes::new();
    }
    if let Some(k) = s.keep.as_mut() {
        k.clear();
    }
}

pub const BIG: usize = 256 << 20;

pub fn all() -> Vec<Peer> {
    #[allow(unused_mut)]
    let mut v = vec![
        floor::PEER,
        ours::PEER,
        tung::PEER,
        fastws::PEER,
        tokio_ws::PEER,
        web_socket_peer::PEER,
        sockudo::CORE,
        sockudo::STREAM,
        yawc_peer::PEER,
        soketto_peer::PEER,
        wtx_peer::PEER,
        sansio::PEER,
    ];
    #[cfg(feature = "wslay")]
    v.push(wslay::PEER);
    v
}

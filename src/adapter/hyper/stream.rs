//! [`Stream`]: what hyper leaves after an upgrade, in writes of a bounded size over HTTP/2.

use core::{
    pin::Pin,
    task::{Context, Poll},
};
use std::io::{self, IoSlice};

use ::http::Version;
use ::hyper::upgrade::Upgraded;
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use hyper_util::rt::TokioIo;

/// The longest write over HTTP/2. It is the usual longest payload of a DATA frame, so shorter ones cost more frames.
const MAX_WRITE: usize = 16 << 10;

/// What hyper leaves after an upgrade: the rest of a connection of HTTP/1.1, or a stream of HTTP/2.
///
/// Over HTTP/2, hyper copies each write, and accepts several of them, whatever their length, before the peer's window
/// has room. So a write takes at most 16 KiB there.
#[derive(Debug)]
pub struct Stream {
    io: TokioIo<Upgraded>,
    max_write: usize,
}

impl Stream {
    pub(super) fn new(upgraded: Upgraded, version: Version) -> Self {
        let max_write = if version == Version::HTTP_2 { MAX_WRITE } else { usize::MAX };
        Self { io: TokioIo::new(upgraded), max_write }
    }

    /// Read access to what hyper left.
    pub fn get_ref(&self) -> &Upgraded {
        self.io.inner()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let len = data.len().min(self.max_write);
        Pin::new(&mut self.io).poll_write(cx, &data[..len])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.max_write == usize::MAX {
            return Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        }
        // A stream of HTTP/2 would write only the first slice, too.
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.max_write == usize::MAX && self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

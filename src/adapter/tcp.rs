//! What a TCP socket needs to carry messages well: [`tune`].

use std::io;
#[cfg(unix)]
use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
use std::os::windows::io::AsSocket;

use socket2::SockRef;

/// How much the kernel takes before it has sent it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT: u32 = 128 << 10;

/// Prepares a TCP socket: small messages leave at once (`TCP_NODELAY`), and where the operating system can (Linux), it
/// accepts at most 128 KiB more than it has sent (`TCP_NOTSENT_LOWAT`), so that a slow peer that still takes something
/// is seen to be alive. Call it on each accepted socket; `connect` of the adapters does by itself.
///
/// # Errors
///
/// The operating system refused: not a TCP socket, for instance. The socket works all the same.
pub fn tune(socket: &impl AsSocket) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_notsent_lowat(NOT_SENT)?;
    Ok(())
}

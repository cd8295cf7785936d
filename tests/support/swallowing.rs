//! An address that swallows: connections to it are neither accepted nor refused.
//!
//! Linux drops the SYN of a client when the listener's queue is full.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
    vec::Vec,
};

pub(crate) struct Swallowing {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Swallowing {
    pub(crate) fn new() -> Self {
        // `std` cannot set the length of the queue, and tokio does so in a runtime only.
        let runtime = ::tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let entered = runtime.enter();
        let socket = ::tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(0).unwrap().into_std().unwrap();
        drop(entered);
        runtime.shutdown_background();

        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        loop {
            assert!(queue.len() < 16, "the queue is never full");
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => queue.push(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => panic!("{error}"),
            }
        }
        Self { address, _listener: listener, _queue: queue }
    }

    /// How many sockets try to connect there. The kernel's table is no snapshot: while many sockets come and go beside
    /// it, it may lack one. So it is read several times.
    pub(crate) fn attempts(&self) -> usize {
        (0..5).map(|_| self.count()).max().unwrap_or_default()
    }

    fn count(&self) -> usize {
        const SYN_SENT: &str = "02";
        let port = std::format!("0100007F:{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        fields.filter(|fields| fields[2] == port && fields[3] == SYN_SENT).count()
    }
}

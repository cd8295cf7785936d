//! The scenarios of every I/O loop, over threads and tokio, and those that only these two have.
#![cfg(all(feature = "blocking", feature = "getrandom"))]

#[path = "support/runtimes.rs"]
#[allow(dead_code, reason = "half of it is for tests/adapters.rs")]
#[macro_use]
mod support;

#[path = "scenarios/loops.rs"]
mod scenarios;

#[cfg(feature = "poll")]
#[path = "scenarios/asynchronous.rs"]
mod asynchronous;

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread::{self, JoinHandle},
};

use sansock::{CloseCode, Config, Event, adapter::Error};
use scenarios::{answer, echo, long_frame, served};
#[cfg(feature = "tokio")]
use support::{Adapter, Tokio};
use support::{Blocking, client_frame, millis, patient, read_rest, watchdog};

/// Halves in tasks of their own.
#[cfg(feature = "tokio")]
mod tasks {
    use super::{
        asynchronous::{close, receive_all, send_all},
        scenarios::tcp_pair,
        *,
    };

    /// A task for each half, on any of several threads.
    #[test]
    fn halves_in_tasks_of_their_own_send_and_receive_large_messages() {
        async fn run(websocket: <Tokio as Adapter>::WebSocket) {
            let (mut receiver, mut sender) = websocket.split();
            let sending = ::tokio::spawn(async move {
                send_all(&mut sender).await;
                sender
            });
            let receiving = ::tokio::spawn(async move {
                receive_all(&mut receiver).await;
                receiver
            });
            let sender = sending.await.unwrap();
            close(receiving.await.unwrap(), sender).await;
        }
        let _watchdog = watchdog();
        let runtime = ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (ours, theirs) = tcp_pair(None);
        let programs = async {
            let (request, config) = (sansock::client::Request::new("localhost", "/"), Config::default());
            let (server, client) =
                ::tokio::join!(Tokio::accept(ours, &config), Tokio::client(theirs, &request, &config));
            ::tokio::join!(run(server.unwrap()), run(client.unwrap().0))
        };
        runtime.block_on(programs);
    }
}

/// What only threads do: calls that wait in the kernel, and that another thread ends.
mod threads {
    use std::net::TcpListener;

    use sansock::{
        Initiator,
        adapter::blocking::{self, Closer},
    };

    use super::*;

    type Server = blocking::WebSocket<TcpStream>;

    /// How often this thread gave up the processor, because it had to wait.
    #[cfg(target_os = "linux")]
    fn waits(thread: &std::path::Path) -> u32 {
        let status = std::fs::read_to_string(std::path::Path::new("/proc").join(thread).join("status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    fn a_wait_is_one_system_call(wait: fn(&mut Server) -> Result<(), Error>) {
        let (id, thread_id) = std::sync::mpsc::channel();
        let (mut stream, server) = served::<Blocking, _>(None, patient(), async move |mut websocket| {
            id.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
            wait(&mut websocket)
        });
        stream.write_all(&client_frame(0x81, b"go")).unwrap();
        // The pipe is full soon.
        let thread = thread_id.recv().unwrap();
        let mut before = waits(&thread);
        loop {
            thread::sleep(millis(200));
            let now = waits(&thread);
            if now - before < 10 {
                break;
            }
            before = now;
        }
        let before = waits(&thread);
        thread::sleep(millis(1000));
        let count = waits(&thread) - before;
        assert!(count < 10, "{count} in a second");
        drop(stream);
        server.join().unwrap().unwrap_err();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_send_that_the_peer_does_not_take_sleeps_until_it_does() {
        let _watchdog = watchdog();
        a_wait_is_one_system_call(|websocket| websocket.send(vec![7; 32 << 20]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn answers_that_the_peer_does_not_take_let_the_thread_sleep() {
        let _watchdog = watchdog();
        a_wait_is_one_system_call(|websocket| futures_lite::future::block_on(answer(websocket, 32 << 20, false)));
    }

    #[test]
    fn one_thread_sends_and_receives_large_messages_by_handlers() {
        const COUNT: u32 = 100;
        let _watchdog = watchdog();
        let (address, server) = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let websocket = blocking::accept(listener.accept().unwrap().0, &Config::default())?;
                futures_lite::future::block_on(echo(websocket))
            });
            (address, server)
        };
        let client = thread::spawn(move || {
            let message = vec![7; 1_000_000];
            let mut websocket = blocking::connect(&format!("ws://{address}/"), &Config::default())?;
            websocket.send_binary(&message)?;
            let mut echoes = 0;
            let refused = websocket.read_with(|event, connection, out| {
                let Event::Binary(data) = event else { return None };
                assert!(*data == *message);
                echoes += 1;
                match echoes {
                    COUNT => connection.close(None, out).err(),
                    _ => connection.send_binary(&data, out).err(),
                }
            })?;
            assert_eq!((refused, echoes), (None, COUNT));
            Ok::<_, Error>(())
        });
        client.join().unwrap().unwrap();
        assert!(server.join().unwrap().unwrap().clean);
    }

    /// The Close of a server that shuts down, and the answer to it.
    const GOING: &[u8] = b"\x88\x05\x03\xe9bye";

    fn goes(mut stream: TcpStream) {
        let mut close = [0; GOING.len()];
        stream.read_exact(&mut close).unwrap();
        assert_eq!(close, GOING);
        stream.write_all(&client_frame(0x88, b"\x03\xe9")).unwrap();
        assert_eq!(read_rest(&mut stream), b"");
    }

    /// A server whose thread does this, and a closer of it.
    fn closable<T: Send + 'static>(
        closer: &Closer,
        program: impl FnOnce(&mut Server) -> T + Send + 'static,
    ) -> (TcpStream, JoinHandle<T>) {
        let closer = closer.clone();
        served::<Blocking, _>(None, patient(), async move |websocket| program(&mut websocket.closed_by(&closer)))
    }

    #[test]
    fn a_closer_ends_a_read_that_waits() {
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        let (mut stream, server) = closable(&closer, |websocket| {
            assert_eq!(websocket.read()?, Some("ready".into()));
            let end = websocket.read()?;
            Ok::<_, Error>((end, websocket.close_info().cloned().unwrap()))
        });
        stream.write_all(&client_frame(0x81, b"ready")).unwrap();
        thread::sleep(millis(20));
        closer.close(CloseCode::GOING_AWAY, "bye");
        goes(stream);
        let (end, info) = server.join().unwrap().unwrap();
        assert_eq!((end, info.clean, info.initiator), (None, true, Some(Initiator::Local)));
    }

    #[test]
    fn a_closer_ends_a_send_to_a_peer_that_takes_nothing_and_loses_none_of_it() {
        const LEN: usize = 32 << 20;
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        let (mut stream, server) = closable(&closer, |websocket| {
            websocket.send(vec![7; LEN])?;
            // Nothing is sent behind the Close.
            assert!(matches!(websocket.send("more"), Err(Error::Send(sansock::SendError::Closed))));
            websocket.read()
        });
        thread::sleep(millis(100));
        closer.close(CloseCode::GOING_AWAY, "bye");
        thread::sleep(millis(100));
        assert!(!server.is_finished());
        let (expected, mut received) = (long_frame(&vec![7; LEN]), vec![0; LEN + 10]);
        stream.read_exact(&mut received).unwrap();
        assert!(received == expected);
        goes(stream);
        assert_eq!(server.join().unwrap().unwrap(), None);
    }

    #[test]
    fn a_closer_closes_what_is_added_after_it_closed() {
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        closer.close(CloseCode::GOING_AWAY, "bye");
        closer.close(CloseCode::NORMAL, "only the first call counts");
        let (stream, server) = closable(&closer, Server::read);
        goes(stream);
        assert_eq!(server.join().unwrap().unwrap(), None);
    }

    #[test]
    fn a_hundred_connections_share_a_closer() {
        let _watchdog = watchdog();
        let closer = Closer::new().unwrap();
        let mut connections: Vec<_> = (0..100).map(|_| closable(&closer, Server::read)).collect();
        // They are served as without it.
        for (stream, _) in &mut connections {
            stream.write_all(&client_frame(0x89, b"?")).unwrap();
            assert_eq!(support::read_bytes::<3>(stream), *b"\x8a\x01?");
        }
        closer.close(CloseCode::GOING_AWAY, "bye");
        for (stream, server) in connections {
            goes(stream);
            assert_eq!(server.join().unwrap().unwrap(), None);
        }
    }
}

/// The options of sockets that an adapter accepted or connected.
mod options {
    use std::net::TcpListener;

    use sansock::adapter::blocking;
    use socket2::SockRef;

    use super::*;

    #[track_caller]
    fn is_tuned(socket: &SockRef<'_>) {
        assert!(socket.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), 128 << 10);
    }

    /// An echo server for this many connections, which finds their sockets tuned.
    fn server(count: usize) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("ws://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            for _ in 0..count {
                let stream = listener.accept().unwrap().0;
                assert!(!SockRef::from(&stream).tcp_nodelay().unwrap());
                let mut websocket = blocking::accept(stream, &patient()).unwrap();
                is_tuned(&websocket.socket().into());
                assert_eq!(websocket.read().unwrap(), None);
            }
        });
        (uri, server)
    }

    #[test]
    fn sockets_of_threads_are_tuned() {
        let _watchdog = watchdog();
        let (uri, server) = server(1);
        let mut websocket = blocking::connect(&uri, &patient()).unwrap();
        is_tuned(&websocket.socket().into());
        websocket.close(CloseCode::NORMAL, "").unwrap();
        server.join().unwrap();
    }

    #[cfg(feature = "tokio-net")]
    #[test]
    fn sockets_that_tokio_connects_are_tuned() {
        let _watchdog = watchdog();
        let (uri, server) = server(1);
        let client = Tokio::run(async move || {
            let mut websocket = sansock::adapter::tokio::connect(&uri, &patient()).await.unwrap();
            is_tuned(&websocket.io().get_ref().into());
            websocket.close(CloseCode::NORMAL, "").await
        });
        client.join().unwrap().unwrap();
        server.join().unwrap();
    }
}

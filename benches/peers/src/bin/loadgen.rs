//! Load generator: raw masked frames over N connections, one thread, epoll.
//! `loadgen PORT --conns N --size B --depth D --ms MS --pid SERVER`
//! Prints one line: messages, seconds, messages/s, server CPU ns per message.
//! Every echoed byte is compared with what was sent.

use harness::work::{CHROME_REQUEST, Kind, Op, Work, put_frame};
use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::TcpStream,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

struct Conn {
    s: TcpStream,
    out: VecDeque<u8>,
    /// Position in the expected cyclic reply.
    pos: usize,
    /// Next message to queue.
    next: usize,
    flying: usize,
    want_out: bool,
}

fn cpu_ns(pid: u32) -> u64 {
    // utime + stime of the process, in clock ticks; schedstat gives ns for the main thread,
    // and its threads are summed.
    let mut ns = 0;
    if let Ok(d) = std::fs::read_dir(format!("/proc/{pid}/task")) {
        for t in d.flatten() {
            if let Ok(s) = std::fs::read_to_string(t.path().join("schedstat")) {
                ns += s.split(' ').next().and_then(|x| x.parse::<u64>().ok()).unwrap_or(0);
            }
        }
    }
    ns
}

fn main() {
    let mut a = std::env::args().skip(1);
    let port: u16 = a.next().expect("port").parse().unwrap();
    let (mut conns, mut size, mut depth, mut ms, mut pid, mut text) = (1usize, 16usize, 1usize, 1000u64, 0u32, true);
    while let Some(k) = a.next() {
        let mut v = || a.next().unwrap();
        match k.as_str() {
            "--conns" => conns = v().parse().unwrap(),
            "--size" => size = v().parse().unwrap(),
            "--depth" => depth = v().parse().unwrap(),
            "--ms" => ms = v().parse().unwrap(),
            "--pid" => pid = v().parse().unwrap(),
            "--binary" => text = false,
            _ => panic!("unknown argument {k}"),
        }
    }
    let w = Work::new(Op::SendServer, if text { Kind::Ascii } else { Kind::Bin }, size, 65536);
    let n_pay = w.payloads.len().min(16);
    let op = if text { 1 } else { 2 };
    let frames: Vec<Vec<u8>> = (0..n_pay)
        .map(|i| {
            let mut v = Vec::new();
            put_frame(&mut v, true, false, op, Some([i as u8 + 1, 37, 200, 91]), &w.payloads[i]);
            v
        })
        .collect();
    let mut reply = Vec::new();
    for p in &w.payloads[..n_pay] {
        put_frame(&mut reply, true, false, op, None, p);
    }
    let rlen = reply.len() / n_pay;

    // SAFETY: plain epoll.
    let ep = unsafe { libc::epoll_create1(0) };
    let mut cs: Vec<Conn> = Vec::new();
    for i in 0..conns {
        let mut tries = 0;
        let mut s = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(s) => break s,
                Err(e) if tries == 1000 => {
                    eprintln!("connection {i}: {e}");
                    std::process::exit(6);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            tries += 1;
        };
        s.set_nodelay(true).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // No extension offered: nobody compresses.
        let req =
            CHROME_REQUEST.replace("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", "");
        s.write_all(req.as_bytes()).unwrap();
        let mut b = [0; 1];
        let mut h = Vec::new();
        while !h.ends_with(b"\r\n\r\n") {
            assert_eq!(s.read(&mut b).expect("handshake"), 1, "closed in the handshake");
            h.push(b[0]);
        }
        assert!(h.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&h));
        s.set_nonblocking(true).unwrap();
        let mut ev = libc::epoll_event { events: libc::EPOLLIN as u32, u64: i as u64 };
        unsafe { libc::epoll_ctl(ep, libc::EPOLL_CTL_ADD, s.as_raw_fd(), &mut ev) };
        cs.push(Conn { s, out: VecDeque::new(), pos: 0, next: 0, flying: 0, want_out: false });
    }

    let mut buf = vec![0u8; 1 << 20];
    let mut done = 0u64;
    let (mut t0, mut c0, mut d0) = (Instant::now(), 0, 0);
    let warm = Duration::from_millis((ms / 5).clamp(50, 300));
    let mut started = false;
    let begin = Instant::now();
    for c in &mut cs {
        top_up(c, depth, &frames);
        push(c, ep, 0);
    }
    // `u64` of each event is the index; push() needs it to change interest.
    for (i, c) in cs.iter_mut().enumerate() {
        push(c, ep, i);
    }
    let mut evs: Vec<libc::epoll_event> = vec![libc::epoll_event { events: 0, u64: 0 }; 512];
    let mut last = Instant::now();
    loop {
        let n = unsafe { libc::epoll_wait(ep, evs.as_mut_ptr(), 512, 2000) };
        if n <= 0 {
            eprintln!("STALL: no reply for 2 s");
            std::process::exit(3);
        }
        for e in &evs[..n as usize] {
            let i = e.u64 as usize;
            let c = &mut cs[i];
            if e.events & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0 {
                eprintln!("connection lost");
                std::process::exit(4);
            }
            if e.events & libc::EPOLLIN as u32 != 0 {
                match c.s.read(&mut buf) {
                    Ok(0) => {
                        eprintln!("closed by the server");
                        std::process::exit(4);
                    }
                    Ok(n) => {
                        let mut b = &buf[..n];
                        while !b.is_empty() {
                            let k = b.len().min(reply.len() - c.pos);
                            if b[..k] != reply[c.pos..c.pos + k] {
                                eprintln!("WRONG ECHO");
                                std::process::exit(5);
                            }
                            let whole = (c.pos % rlen + k) / rlen;
                            done += whole as u64;
                            c.flying -= whole;
                            c.pos = (c.pos + k) % reply.len();
                            b = &b[k..];
                        }
                        top_up(c, depth, &frames);
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(e) => panic!("{e}"),
                }
            }
            push(c, ep, i);
        }
        let now = Instant::now();
        if now.duration_since(last) > Duration::from_millis(1) {
            last = now;
            if !started && now.duration_since(begin) >= warm {
                started = true;
                t0 = now;
                c0 = cpu_ns(pid);
                d0 = done;
            } else if started && now.duration_since(t0) >= Duration::from_millis(ms) {
                let c1 = cpu_ns(pid);
                let s = now.duration_since(t0).as_secs_f64();
                let m = done - d0;
                println!("{m} {s:.4} {:.1} {:.1}", m as f64 / s, (c1 - c0) as f64 / m.max(1) as f64);
                return;
            }
        }
    }
}

fn top_up(c: &mut Conn, depth: usize, frames: &[Vec<u8>]) {
    // In whole volleys when deep, as a client with a backlog would.
    if c.flying > depth / 2 {
        return;
    }
    while c.flying < depth {
        c.out.extend(&frames[c.next]);
        c.next = (c.next + 1) % frames.len();
        c.flying += 1;
    }
}

fn push(c: &mut Conn, ep: i32, i: usize) {
    while !c.out.is_empty() {
        let (a, b) = c.out.as_slices();
        match c.s.write_vectored(&[std::io::IoSlice::new(a), std::io::IoSlice::new(b)]) {
            Ok(n) => {
                c.out.drain(..n);
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(e) => panic!("{e}"),
        }
    }
    let want = !c.out.is_empty();
    if want != c.want_out {
        c.want_out = want;
        let mut ev = libc::epoll_event {
            events: libc::EPOLLIN as u32 | if want { libc::EPOLLOUT as u32 } else { 0 },
            u64: i as u64,
        };
        unsafe { libc::epoll_ctl(ep, libc::EPOLL_CTL_MOD, c.s.as_raw_fd(), &mut ev) };
    }
}

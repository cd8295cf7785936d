//! Sampling, verification, tables.

use crate::{
    peers::{Case, Peer},
    work::{App, CHROME_ACCEPT, Kind, Op, Work, get_frame, inflate_message},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

pub struct Settings {
    pub rounds: usize,
    pub sample_ms: f64,
    pub chunk: usize,
    pub sizes: Vec<usize>,
    pub filter: Option<String>,
    pub peers: Option<Vec<String>>,
}

pub const SIZES: &[usize] = &[16, 125, 1024, 16 << 10, 64 << 10, 1 << 20, 16 << 20];

pub fn matrix(s: &Settings) -> Vec<(Op, Kind, usize)> {
    let mut v = Vec::new();
    for op in [Op::RecvServer, Op::RecvClient] {
        for &n in &s.sizes {
            v.push((op, Kind::Bin, n));
        }
        for &n in &s.sizes {
            v.push((op, Kind::Ascii, n));
        }
        for n in [1024, 65536, 1 << 20] {
            v.push((op, Kind::Utf8, n));
        }
    }
    for op in [Op::SendServer, Op::SendClient, Op::EchoServer] {
        for &n in &s.sizes {
            v.push((op, Kind::Bin, n));
        }
    }
    for &n in &s.sizes {
        v.push((Op::EchoServer, Kind::Ascii, n));
    }
    v.push((Op::RecvServer, Kind::BinFrag, 65536));
    v.push((Op::RecvServer, Kind::AsciiFrag, 65536));
    for n in [1024, 65536] {
        v.push((Op::DeflateRecv, Kind::Ascii, n));
        v.push((Op::DeflateSend, Kind::Ascii, n));
    }
    v.push((Op::HandshakeServer, Kind::Bin, 0));
    v.push((Op::HandshakeClient, Kind::Bin, 0));
    v.retain(|&(op, k, n)| s.filter.as_ref().is_none_or(|f| name_of(op, k, n).contains(f.as_str())));
    v
}

pub fn name_of(op: Op, k: Kind, n: usize) -> String {
    if op.handshake() {
        op.name().to_string()
    } else {
        format!("{}/{}/{}", op.name(), k.name(), crate::work::size_name(n))
    }
}

pub fn chosen(s: &Settings) -> Vec<Peer> {
    let mut v = crate::peers::all();
    if let Some(names) = &s.peers {
        v.retain(|p| names.iter().any(|n| p.name.contains(n.as_str())));
    }
    v
}

/// Runs one batch, checks every payload in and every byte out.
pub fn verify(name: &str, w: &Arc<Work>, c: &mut dyn Case) -> Result<(), String> {
    let r = catch_unwind(AssertUnwindSafe(|| {
        c.app().set_verify(Some(w.clone()));
        c.mem().st().keep = Some(Vec::new());
        c.run();
        c.run();
        c.app().set_verify(None);
        let kept = c.mem().st().keep.take().unwrap();
        match w.op {
            Op::HandshakeServer => {
                let s = String::from_utf8_lossy(&kept);
                assert!(s.starts_with("HTTP/1.1 101"), "no 101: {s}");
                assert!(s.contains(CHROME_ACCEPT), "wrong accept: {s}");
                assert!(s.ends_with("\r\n\r\n"));
                return;
            }
            Op::HandshakeClient => return,
            _ => {}
        }
        if w.op != Op::EchoServer && w.op.receives() {
            assert_eq!(c.app().n, 2 * w.n, "messages delivered");
            let e = App::expect(w);
            assert_eq!(c.app().acc, e.wrapping_add(e), "checksum");
        }
        if w.op.sends() {
            check_out(name, w, &kept);
        }
    }));
    r.map_err(|e| {
        let m = e.downcast_ref::<String>().cloned().or_else(|| e.downcast_ref::<&str>().map(|s| s.to_string()));
        format!("{name} {}: {}", w.name(), m.unwrap_or_default())
    })
}

fn check_out(name: &str, w: &Work, mut b: &[u8]) {
    let mut z = flate2::Decompress::new(false);
    let (mut n, mut msg, mut op0) = (0usize, Vec::new(), 0);
    let (mut masks, mut same) = (0usize, 0usize);
    let mut last = None;
    let mut comp = false;
    while !b.is_empty() {
        let (f, used) = get_frame(b).expect("incomplete frame in the output");
        b = &b[used..];
        if f.opcode >= 8 {
            continue;
        }
        if w.op == Op::SendClient {
            let m = f.mask.expect("client frame without mask");
            masks += 1;
            same += (last == Some(m)) as usize;
            last = Some(m);
        } else {
            assert!(f.mask.is_none(), "server frame with mask");
        }
        if f.opcode != 0 {
            op0 = f.opcode;
            comp = f.rsv1;
        }
        msg.extend_from_slice(&f.payload);
        if f.fin {
            if w.op == Op::DeflateSend {
                assert!(comp, "not compressed");
                // soketto resets its context for every message.
                if name == "soketto" {
                    z = flate2::Decompress::new(false);
                }
                msg = inflate_message(&mut z, &msg);
            }
            assert_eq!(op0, if w.text() { 1 } else { 2 });
            assert!(msg == w.payloads[n % w.payloads.len()][..], "payload of sent message {n} differs");
            n += 1;
            msg.clear();
        }
    }
    assert_eq!(n, 2 * w.n, "messages sent");
    assert!(masks < 3 || same * 2 < masks, "the mask does not change");
}

pub struct Row {
    pub work: String,
    pub op: Op,
    pub kind: Kind,
    pub size: usize,
    pub peer: String,
    pub ns_min: f64,
    pub ns_med: f64,
    pub reads: f64,
    pub writes: f64,
    /// Why there is no figure.
    pub err: Option<String>,
}

pub fn measure(s: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    let t0 = Instant::now();
    for (op, kind, size) in matrix(s) {
        let w = Work::new(op, kind, size, s.chunk);
        let mut cases: Vec<(&'static str, Box<dyn Case>, usize, Vec<f64>, f64, f64)> = Vec::new();
        for p in chosen(s) {
            let made = catch_unwind(AssertUnwindSafe(|| (p.make)(&w)));
            let mut c = match made {
                Ok(Some(c)) => c,
                Ok(None) => continue,
                Err(_) => {
                    rows.push(bad(&w, p.name, "panic in setup".into()));
                    continue;
                }
            };
            if let Err(e) = verify(p.name, &w, &mut *c) {
                eprintln!("FAILED {e}");
                rows.push(bad(&w, p.name, e));
                std::mem::forget(c);
                continue;
            }
            // How many batches make a sample.
            let mut k = 1usize;
            loop {
                let t = Instant::now();
                for _ in 0..k {
                    c.run();
                }
                let ms = t.elapsed().as_secs_f64() * 1e3;
                if ms >= s.sample_ms * 0.5 || k > 1 << 22 {
                    k = ((k as f64 * s.sample_ms / ms.max(1e-6)).round() as usize).max(1);
                    break;
                }
                k *= 2;
            }
            let (r0, w0) = (c.mem().st().reads, c.mem().st().writes);
            c.run();
            let (r1, w1) = (c.mem().st().reads, c.mem().st().writes);
            cases.push((p.name, c, k, vec![], (r1 - r0) as f64 / w.n as f64, (w1 - w0) as f64 / w.n as f64));
        }
        for round in 0..s.rounds {
            // A B C …, starting one further each round.
            let n = cases.len();
            for i in 0..n {
                let (_, c, k, ns, ..) = &mut cases[(i + round) % n];
                let t = Instant::now();
                for _ in 0..*k {
                    c.run();
                }
                ns.push(t.elapsed().as_nanos() as f64 / (*k * w.n) as f64);
            }
        }
        let e = App::expect(&w);
        for (name, mut c, _, mut ns, reads, writes) in cases {
            // Nothing was lost while the clock ran.
            let app = c.app();
            let err = if w.op.receives() && w.op != Op::EchoServer {
                let batches = (app.n / w.n) as u64;
                (app.acc != e.wrapping_mul(batches)).then(|| "checksum differs at the end".to_string())
            } else {
                None
            };
            ns.sort_by(f64::total_cmp);
            rows.push(Row {
                work: w.name(),
                op,
                kind,
                size,
                peer: name.into(),
                ns_min: ns[0],
                ns_med: ns[ns.len() / 2],
                reads,
                writes,
                err,
            });
        }
        eprintln!("{:6.1}s {}", t0.elapsed().as_secs_f64(), w.name());
    }
    rows
}

fn bad(w: &Work, peer: &str, err: String) -> Row {
    Row {
        work: w.name(),
        op: w.op,
        kind: w.kind,
        size: w.size,
        peer: peer.into(),
        ns_min: f64::NAN,
        ns_med: f64::NAN,
        reads: 0.0,
        writes: 0.0,
        err: Some(err),
    }
}

pub struct LimitRow {
    pub name: String,
    pub size: usize,
    pub ns_min: f64,
    pub ns_med: f64,
}

pub fn measure_limits(s: &Settings) -> Vec<LimitRow> {
    let mut ls = crate::limits::all(&s.sizes);
    let mut ks = Vec::new();
    for l in &mut ls {
        let mut k = 1usize;
        loop {
            let t = Instant::now();
            for _ in 0..k {
                (l.run)();
            }
            let ms = t.elapsed().as_secs_f64() * 1e3;
            if ms >= s.sample_ms * 0.25 {
                break;
            }
            k *= 2;
        }
        ks.push(k);
    }
    let mut ns: Vec<Vec<f64>> = vec![vec![]; ls.len()];
    for _ in 0..s.rounds {
        for (i, l) in ls.iter_mut().enumerate() {
            let t = Instant::now();
            for _ in 0..ks[i] {
                (l.run)();
            }
            ns[i].push(t.elapsed().as_nanos() as f64 / ks[i] as f64);
        }
    }
    ls.iter()
        .zip(ns)
        .map(|(l, mut v)| {
            v.sort_by(f64::total_cmp);
            LimitRow { name: l.name.clone(), size: l.size, ns_min: v[0], ns_med: v[v.len() / 2] }
        })
        .collect()
}

/// Does the peer refuse what it must refuse? (invalid UTF-8 in a text message)
pub fn refuses_bad_utf8(p: &Peer) -> Option<bool> {
    let w = Work::new(Op::RecvServer, Kind::Ascii, 64, 65536);
    let mut bad = Vec::new();
    crate::work::put_frame(&mut bad, true, false, 1, Some([1, 2, 3, 4]), &[0xC3; 64]);
    let w = Arc::new(Work {
        wire: bad.into(),
        n: 1,
        payloads: w.payloads.clone(),
        op: w.op,
        kind: w.kind,
        size: 64,
        burst: 1,
        chunk: 65536,
    });
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let made = catch_unwind(AssertUnwindSafe(|| (p.make)(&w)));
    let Ok(Some(mut c)) = made else {
        std::panic::set_hook(hook);
        return None;
    };
    let r = catch_unwind(AssertUnwindSafe(|| c.run()));
    std::panic::set_hook(hook);
    let refused = r.is_err();
    if refused {
        std::mem::forget(c);
    }
    Some(refused)
}

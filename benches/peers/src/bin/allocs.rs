//! Heap figures: allocations per message, and bytes per idle connection.
//! A separate program, so that counting does not slow the timings down.

use harness::{
    memio::{Mem, Mode, request_then},
    peers::{self, Idle},
    run::{SIZES, Settings, matrix, verify},
    work::{Kind, Op, Work, put_frame},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    fmt::Write,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    task::{Context, Waker},
};

struct Counting;
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
static BLOCKS: AtomicI64 = AtomicI64::new(0);

// SAFETY: everything goes to System.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(l.size() as u64, Relaxed);
        LIVE.fetch_add(l.size() as i64, Relaxed);
        BLOCKS.fetch_add(1, Relaxed);
        unsafe { System.alloc(l) }
    }
    unsafe fn dealloc(&self, p: *mut u8, l: Layout) {
        LIVE.fetch_sub(l.size() as i64, Relaxed);
        BLOCKS.fetch_sub(1, Relaxed);
        unsafe { System.dealloc(p, l) }
    }
    unsafe fn alloc_zeroed(&self, l: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(l.size() as u64, Relaxed);
        LIVE.fetch_add(l.size() as i64, Relaxed);
        BLOCKS.fetch_add(1, Relaxed);
        unsafe { System.alloc_zeroed(l) }
    }
    unsafe fn realloc(&self, p: *mut u8, l: Layout, n: usize) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(n.saturating_sub(l.size()) as u64, Relaxed);
        LIVE.fetch_add(n as i64 - l.size() as i64, Relaxed);
        unsafe { System.realloc(p, l, n) }
    }
}
#[global_allocator]
static A: Counting = Counting;

/// The request in one read, the first frame in the next.
fn small(src: &bytes::Bytes) -> Mem {
    let mut m = Mem::small(src.clone(), Mode::Once);
    m.st().split = harness::work::CHROME_REQUEST.len();
    m
}

fn main() {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = rt.enter();
    let mut n_conn = 10_000usize;
    let (mut json, mut md) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        match a.as_str() {
            "--conns" => n_conn = args.next().unwrap().parse().unwrap(),
            "--json" => json = args.next(),
            "--md" => md = args.next(),
            _ => panic!("unknown argument {a}"),
        }
    }
    let s = Settings { rounds: 1, sample_ms: 1.0, chunk: 65536, sizes: SIZES[..5].to_vec(), filter: None, peers: None };
    let mut o = String::new();
    let mut j = String::from("{\"allocs\":[\n");
    let peers = peers::all();
    let _ = writeln!(o, "# Heap\n\n## Allocations per message (calls, bytes asked for)\n");
    let _ = writeln!(o, "| work | {} |", peers.iter().map(|p| p.name).collect::<Vec<_>>().join(" | "));
    let _ = writeln!(o, "|---|{}", "---:|".repeat(peers.len()));
    let mut first = true;
    for (op, kind, size) in matrix(&s) {
        if !matches!(kind, Kind::Bin | Kind::BinFrag) && !matches!(op, Op::DeflateRecv | Op::DeflateSend) {
            continue;
        }
        let w = Work::new(op, kind, size, s.chunk);
        let _ = write!(o, "| {} |", w.name());
        for p in &peers {
            let Some(mut c) = (p.make)(&w) else {
                o.push_str(" |");
                continue;
            };
            if verify(p.name, &w, &mut *c).is_err() {
                std::mem::forget(c);
                o.push_str(" FAILED |");
                continue;
            }
            for _ in 0..4 {
                c.run();
            }
            let batches = (8_000 / w.n).clamp(1, 8);
            let (a, b) = (CALLS.load(Relaxed), BYTES.load(Relaxed));
            for _ in 0..batches {
                c.run();
            }
            let m = (batches * w.n) as f64;
            let (a, b) = ((CALLS.load(Relaxed) - a) as f64 / m, (BYTES.load(Relaxed) - b) as f64 / m);
            let _ = write!(o, " {a:.3}, {b:.0} |");
            let _ = write!(
                j,
                "{}{{\"work\":\"{}\",\"peer\":\"{}\",\"calls\":{a:.4},\"bytes\":{b:.1}}}",
                if first { "" } else { ",\n" },
                w.name(),
                p.name
            );
            first = false;
        }
        o.push('\n');
    }
    let _ = writeln!(o, "\n(wslay's own malloc calls are not seen by the counter.)");
    let _ = writeln!(
        o,
        "\n## Heap bytes per idle server connection\n\n{n_conn} connections (a tenth of that with deflate), each after the handshake and the echo of one 32-byte text message, buffers at each peer's default; async peers as one boxed future per connection.\n"
    );
    let _ = writeln!(o, "| peer | bytes | blocks | with permessage-deflate: bytes | blocks |");
    let _ = writeln!(o, "|---|---:|---:|---:|---:|");
    j.push_str("\n],\"idle\":[\n");
    let mut frame = Vec::new();
    put_frame(&mut frame, true, false, 1, Some([9, 8, 7, 6]), b"0123456789abcdef0123456789abcdef");
    let src = request_then(&frame);
    let mut first = true;
    for p in &peers {
        let Some(f) = p.idle else { continue };
        let mut cell = vec![];
        for deflate in [false, true] {
            let n = if deflate { n_conn / 10 } else { n_conn };
            let mut mems: Vec<Mem> = (0..n).map(|_| small(&src)).collect();
            let mut keep: Vec<Idle> = Vec::with_capacity(n);
            // Once beforehand, so that lazily made globals do not count.
            let mut warm = small(&src);
            let open = |m: &mut Mem| {
                let mut i = f(m.io(), deflate)?;
                if let Idle::Fut(f) = &mut i {
                    let mut cx = Context::from_waker(Waker::noop());
                    for _ in 0..20 {
                        assert!(f.as_mut().poll(&mut cx).is_pending(), "{}: ended", p.name);
                    }
                }
                assert!(m.st().out_bytes > 140, "{}: no echo ({} bytes out)", p.name, m.st().out_bytes);
                Some(i)
            };
            let Some(w) = open(&mut warm) else {
                cell.push(None);
                continue;
            };
            let (l, b) = (LIVE.load(Relaxed), BLOCKS.load(Relaxed));
            for m in &mut mems {
                keep.push(open(m).unwrap());
            }
            let per = ((LIVE.load(Relaxed) - l) as f64 / n as f64, (BLOCKS.load(Relaxed) - b) as f64 / n as f64);
            let _ = write!(
                j,
                "{}{{\"peer\":\"{}\",\"deflate\":{deflate},\"bytes\":{:.1},\"blocks\":{:.2}}}",
                if first { "" } else { ",\n" },
                p.name,
                per.0,
                per.1
            );
            first = false;
            cell.push(Some(per));
            drop((keep, w));
        }
        let f = |c: &Option<(f64, f64)>| c.map_or("– | –".to_string(), |(a, b)| format!("{a:.0} | {b:.1}"));
        let _ = writeln!(o, "| {} | {} | {} |", p.name, f(&cell[0]), f(&cell[1]));
    }
    j.push_str("\n]}\n");
    print!("{o}");
    if let Some(p) = md {
        std::fs::write(p, &o).unwrap();
    }
    if let Some(p) = json {
        std::fs::write(p, &j).unwrap();
    }
}

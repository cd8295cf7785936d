//! Protocol cost without sockets: times every peer on every piece of work.

use harness::{
    run::{self, Row, SIZES, Settings},
    work::{Op, size_name},
};
use std::{collections::BTreeMap, fmt::Write};

fn main() {
    let mut s = Settings { rounds: 9, sample_ms: 20.0, chunk: 65536, sizes: SIZES.to_vec(), filter: None, peers: None };
    let (mut json, mut md) = (None, None);
    let mut limits = true;
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut val = || args.next().expect("value");
        match a.as_str() {
            "--quick" => {
                s.rounds = 3;
                s.sample_ms = 2.0;
            }
            "--rounds" => s.rounds = val().parse().unwrap(),
            "--ms" => s.sample_ms = val().parse().unwrap(),
            "--read" => harness::peers::ours::set_read_size(val().parse().unwrap()),
            "--chunk" => s.chunk = val().parse().unwrap(),
            "--filter" => s.filter = Some(val()),
            "--peers" => s.peers = Some(val().split(',').map(str::to_owned).collect()),
            "--json" => json = Some(val()),
            "--md" => md = Some(val()),
            "--no-limits" => limits = false,
            _ => panic!("unknown argument {a}"),
        }
    }
    // Some streams make timers; none of them ever fires.
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = rt.enter();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |i| {
        if std::env::var_os("BENCH_PANICS").is_some() {
            hook(i)
        }
    }));

    let lim = if limits { run::measure_limits(&s) } else { vec![] };
    let rows = run::measure(&s);
    let out = report(&s, &rows, &lim);
    print!("{out}");
    if let Some(p) = md {
        std::fs::write(p, &out).unwrap();
    }
    if let Some(p) = json {
        std::fs::write(p, to_json(&rows, &lim)).unwrap();
    }
}

fn gbs(size: usize, ns: f64) -> f64 {
    size as f64 / ns
}

fn num(x: f64) -> String {
    if x >= 1e6 {
        format!("{:.2}M", x / 1e6)
    } else if x >= 1e4 {
        format!("{:.1}k", x / 1e3)
    } else if x >= 100.0 {
        format!("{x:.0}")
    } else {
        format!("{x:.1}")
    }
}

fn report(s: &Settings, rows: &[Row], lim: &[run::LimitRow]) -> String {
    let mut o = String::new();
    let _ = writeln!(o, "# Protocol cost\n");
    let _ = writeln!(
        o,
        "Reads of at most {} KiB; {} interleaved rounds of about {} ms per cell. Cells: minimum ns per message (median), GB/s of payload at the minimum. **Bold**: fastest peer of the row.\n",
        s.chunk / 1024,
        s.rounds,
        s.sample_ms
    );
    let peers: Vec<_> = run::chosen(s);
    for p in &peers {
        let u = match run::refuses_bad_utf8(p) {
            Some(true) => "invalid UTF-8 refused, by the application where the notes say so",
            Some(false) => "DELIVERS invalid UTF-8",
            None => "",
        };
        let _ = writeln!(o, "- **{}**: {} [{u}]", p.name, p.notes);
    }
    for &op in Op::ALL {
        let mut works: Vec<(String, usize)> = Vec::new();
        for r in rows.iter().filter(|r| r.op == op) {
            if !works.iter().any(|w| w.0 == r.work) {
                works.push((r.work.clone(), r.size));
            }
        }
        if works.is_empty() {
            continue;
        }
        let names: Vec<&str> =
            peers.iter().map(|p| p.name).filter(|n| rows.iter().any(|r| r.op == op && r.peer == *n)).collect();
        let _ = writeln!(o, "\n## {}\n", op.name());
        let _ = writeln!(o, "| work | {} |", names.join(" | "));
        let _ = writeln!(o, "|---|{}", "---:|".repeat(names.len()));
        for (w, size) in &works {
            let find = |n: &str| rows.iter().find(|r| r.work == *w && r.peer == n);
            let best = names
                .iter()
                .filter(|n| **n != "(floor)")
                .filter_map(|n| find(n).filter(|r| r.err.is_none()).map(|r| r.ns_min))
                .fold(f64::INFINITY, f64::min);
            let _ = write!(o, "| {} |", w.split_once('/').map_or(w.as_str(), |x| x.1));
            for n in &names {
                match find(n) {
                    None => o.push_str(" |"),
                    Some(r) if r.err.is_some() => o.push_str(" FAILED |"),
                    Some(r) => {
                        let b = if r.ns_min <= best && *n != "(floor)" { "**" } else { "" };
                        let g = if *size > 0 { format!(", {:.2} GB/s", gbs(*size, r.ns_min)) } else { String::new() };
                        let _ = write!(o, " {b}{}{b} ({}){g} |", num(r.ns_min), num(r.ns_med));
                    }
                }
            }
            o.push('\n');
        }
    }
    let _ = writeln!(o, "\n## Transport calls per message (reads / writes)\n");
    let names: Vec<&str> = peers.iter().map(|p| p.name).collect();
    let _ = writeln!(o, "| work | {} |", names.join(" | "));
    let _ = writeln!(o, "|---|{}", "---:|".repeat(names.len()));
    let mut seen: Vec<&str> = vec![];
    for r in rows {
        if seen.contains(&r.work.as_str())
            || r.kind != harness::work::Kind::Bin
            || !(r.op == Op::RecvServer || r.op == Op::SendServer || r.op == Op::EchoServer)
        {
            continue;
        }
        seen.push(&r.work);
        let _ = write!(o, "| {} |", r.work);
        for n in &names {
            match rows.iter().find(|x| x.work == r.work && x.peer == *n) {
                Some(x) if x.err.is_none() => {
                    let _ = write!(o, " {:.3} / {:.3} |", x.reads, x.writes);
                }
                _ => o.push_str(" |"),
            }
        }
        o.push('\n');
    }
    if !lim.is_empty() {
        let _ = writeln!(o, "\n## The physical limit\n");
        let mut sizes: Vec<usize> = lim.iter().map(|l| l.size).collect();
        sizes.sort();
        sizes.dedup();
        sizes.retain(|n| SIZES.contains(n));
        let _ = writeln!(o, "| operation | {} |", sizes.iter().map(|n| size_name(*n)).collect::<Vec<_>>().join(" | "));
        let _ = writeln!(o, "|---|{}", "---:|".repeat(sizes.len()));
        let mut by: BTreeMap<&str, Vec<&run::LimitRow>> = BTreeMap::new();
        let mut order = vec![];
        for l in lim {
            if !by.contains_key(l.name.as_str()) {
                order.push(l.name.as_str());
            }
            by.entry(&l.name).or_default().push(l);
        }
        let mut single = vec![];
        for name in order {
            let ls = &by[name];
            if !SIZES.contains(&ls[0].size) {
                single.push(ls[0]);
                continue;
            }
            let _ = write!(o, "| {name} |");
            for n in &sizes {
                match ls.iter().find(|l| l.size == *n) {
                    Some(l) => {
                        let _ = write!(o, " {} ns, {:.1} GB/s |", num(l.ns_min), gbs(*n, l.ns_min));
                    }
                    None => o.push_str(" |"),
                }
            }
            o.push('\n');
        }
        for l in single {
            let _ = writeln!(o, "\n{}: {} ns (median {})", l.name, num(l.ns_min), num(l.ns_med));
        }
    }
    for r in rows.iter().filter(|r| r.err.is_some()) {
        let _ = writeln!(o, "\nFAILED: {}", r.err.as_ref().unwrap());
    }
    o
}

fn to_json(rows: &[Row], lim: &[run::LimitRow]) -> String {
    let f = |x: f64| if x.is_finite() { format!("{x:.3}") } else { "null".into() };
    let mut o = String::from("{\"rows\":[\n");
    for (i, r) in rows.iter().enumerate() {
        let _ = write!(
            o,
            "{}{{\"work\":\"{}\",\"op\":\"{}\",\"kind\":\"{}\",\"size\":{},\"peer\":\"{}\",\"ns_min\":{},\"ns_median\":{},\"reads\":{},\"writes\":{},\"ok\":{}}}",
            if i > 0 { ",\n" } else { "" },
            r.work,
            r.op.name(),
            r.kind.name(),
            r.size,
            r.peer,
            f(r.ns_min),
            f(r.ns_med),
            f(r.reads),
            f(r.writes),
            r.err.is_none()
        );
    }
    o.push_str("\n],\"limits\":[\n");
    for (i, l) in lim.iter().enumerate() {
        let _ = write!(
            o,
            "{}{{\"name\":\"{}\",\"size\":{},\"ns_min\":{},\"ns_median\":{}}}",
            if i > 0 { ",\n" } else { "" },
            l.name,
            l.size,
            f(l.ns_min),
            f(l.ns_med)
        );
    }
    o.push_str("\n]}\n");
    o
}

#!/usr/bin/env python3
"""TCP loopback echo: every server on core 0, the load generator on core 1,
interleaved rounds. Prints a Markdown table; --json writes the figures.

  tcp.py --bin DIR [--quick] [--python PY] [--node-path DIR] [--servers a,b] [--sizes BYTES...]
         [--extra NAME=COMMAND-WITH-{port}]... [--json F] [--md F]
"""
import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RUST = ["raw", "tungstenite", "tungstenite-4k", "tungstenite-batch", "fastwebsockets", "tokio-websockets", "web-socket", "sockudo-ws", "yawc", "soketto", "wtx", "ours", "ours (tokio)"]
SIZES = [16, 1024, 65536]
NAMES = {16: "16B", 1024: "1KiB", 65536: "64KiB"}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", required=True)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--python")
    p.add_argument("--node-path")
    p.add_argument("--servers")
    p.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=SIZES)
    p.add_argument("--extra", action="append", default=[])
    p.add_argument("--rounds", type=int)
    p.add_argument("--ms", type=int)
    p.add_argument("--json")
    p.add_argument("--md")
    a = p.parse_args()
    rounds = a.rounds or (1 if a.quick else 3)
    ms = a.ms or (120 if a.quick else 400)
    cells = [(c, s, d) for c in (1, 32, 512) for s in a.sizes for d in (1, 32)]
    # 512 connections with 32 messages of 64 KiB under way is a gigabyte of buffers.
    cells = [x for x in cells if not (x[0] * x[1] * x[2] > 256 << 20)]
    if a.quick:
        cells = [x for x in cells if x[0] != 512 and (x[0], x[1]) != (1, 65536)]

    servers = {n: [os.path.join(a.bin, "echo_server"), n, "{port}"] for n in RUST}
    servers["raw (epoll)"] = [os.path.join(a.bin, "epoll_server"), "{port}"]
    servers["ours (mio)"] = [os.path.join(a.bin, "mio_server"), "--listen", "127.0.0.1:{port}"]
    env = dict(os.environ)
    if a.python:
        servers["py websockets+uvloop"] = [a.python, os.path.join(HERE, "servers/websockets_echo.py"), "{port}"]
        servers["py picows+uvloop"] = [a.python, os.path.join(HERE, "servers/picows_echo.py"), "{port}"]
    if a.node_path:
        env["NODE_PATH"] = a.node_path
        servers["node ws"] = ["node", os.path.join(HERE, "servers/ws_echo.js"), "{port}"]
    for e in a.extra:
        n, c = e.split("=", 1)
        servers[n] = shlex.split(c)
    if a.servers:
        want = a.servers.split(",")
        servers = {n: c for n, c in servers.items() if n in want}

    up = {}
    res = {n: {} for n in servers}
    try:
        for n, cmd in servers.items():
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                port = s.getsockname()[1]
            cmd = [x.replace("{port}", str(port)) for x in cmd]
            up[n] = (subprocess.Popen(["taskset", "-c", "0"] + cmd, env=env, stdout=subprocess.DEVNULL), port)
        for n, (pr, port) in list(up.items()):
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                print(f"{n}: does not listen", file=sys.stderr)
                del up[n]
        for r in range(rounds):
            for cell in cells:
                order = list(up)
                k = r % max(1, len(order))
                for n in order[k:] + order[:k]:
                    pr, port = up[n]
                    c, s, d = cell
                    try:
                        g = subprocess.run(
                            ["taskset", "-c", "1", os.path.join(a.bin, "loadgen"), str(port), "--conns", str(c), "--size", str(s),
                             "--depth", str(d), "--ms", str(ms), "--pid", str(pr.pid)],
                            capture_output=True, text=True, timeout=30)
                    except subprocess.TimeoutExpired:
                        print(f"{n} {cell}: timed out (server still running: {pr.poll() is None})", file=sys.stderr)
                        res[n].setdefault(cell, []).append(None)
                        continue
                    if g.returncode:
                        print(f"{n} {cell}: {g.stderr.strip()[:100]}", file=sys.stderr)
                        res[n].setdefault(cell, []).append(None)
                        continue
                    m, sec, rate, cpu = g.stdout.split()
                    res[n].setdefault(cell, []).append((float(rate), float(cpu)))
            print(f"round {r + 1}/{rounds}", file=sys.stderr)
    finally:
        for pr, _ in up.values():
            pr.terminate()
        for pr, _ in up.values():
            try:
                pr.wait(5)
            except subprocess.TimeoutExpired:
                pr.kill()

    out = ["# TCP loopback echo", "",
           f"Text messages; server on core 0, generator on core 1; {rounds} interleaved rounds of {ms} ms. "
           "Each cell: best thousand messages/s (median), least server CPU ns per message. **Bold**: least CPU of a real peer; "
           "`raw`: the same sockets and runtime with hardly any protocol; `(epoll)`, `(mio)`: without a runtime, on one thread.", "",
           "| server | " + " | ".join(f"{c}c {NAMES[s]} d{d}" for c, s, d in cells) + " |",
           "|---|" + "---:|" * len(cells)]
    best = {}
    for cell in cells:
        v = [min(y[1] for y in x[cell] if y) for n, x in res.items() if not n.startswith("raw") and any(x.get(cell, []))]
        best[cell] = min(v) if v else None
    for n in up:
        row = [n]
        for cell in cells:
            v = sorted(y for y in res[n].get(cell, []) if y)
            if not v:
                row.append("failed")
                continue
            rate, med, cpu = v[-1][0], v[len(v) // 2][0], min(y[1] for y in v)
            b = "**" if not n.startswith("raw") and cpu == best[cell] else ""
            row.append(f"{rate / 1e3:.1f}k ({med / 1e3:.1f}k) {b}{cpu:.0f}{b}")
        out.append("| " + " | ".join(row) + " |")
    out += ratios(res, cells)
    text = "\n".join(out) + "\n"
    print(text)
    if a.md:
        open(a.md, "w").write(text)
    if a.json:
        rows = [{"server": n, "conns": c, "size": s, "depth": d, "rate": [y and y[0] for y in v], "cpu_ns": [y and y[1] for y in v]}
                for n, x in res.items() for (c, s, d), v in x.items()]
        json.dump(rows, open(a.json, "w"), indent=0)


def ratios(res, cells):
    """Ours to the best other implementation, and to the least possible on the same sockets; least CPU of each."""
    def least(name, cell):
        return min((y[1] for y in res.get(name, {}).get(cell, []) if y), default=None)

    out = ["", "| cell | best peer | ours (tokio) / best peer | ours (mio) / best peer | ours (mio) / raw (epoll) |",
           "|---|---|---:|---:|---:|"]
    peers = [n for n in res if not n.startswith(("raw", "ours"))]
    for cell in cells:
        best = min(((least(n, cell), n) for n in peers if least(n, cell)), default=(None, "–"))
        pairs = [("ours (tokio)", best[0]), ("ours (mio)", best[0]), ("ours (mio)", least("raw (epoll)", cell))]
        values = [f"{least(n, cell) / other:.2f}" if other and least(n, cell) else "–" for n, other in pairs]
        c, s, d = cell
        out.append(f"| {c}c {NAMES[s]} d{d} | {best[1]} | " + " | ".join(values) + " |")
    return out


main()

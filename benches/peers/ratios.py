#!/usr/bin/env python3
"""Ratios of ours to the floor and to the best peer, cell by cell.

  ratios.py RUN.json... [--md F] [--json F]

Each RUN.json is one run of `proto --json`. A ratio is made within a run, of the
least times of its rounds; of several runs the middle ratio counts.
"""
import argparse
import json
from statistics import median

FLOOR, OURS = "(floor)", "ours"
# These compress every message by itself: other work, and more bytes.
NO_TAKEOVER = {"wtx", "soketto"}


def aim(row):
    """The most that ours may take of the floor's time; None: no aim."""
    op, kind, size = row["op"], row["kind"], row["size"]
    if op.startswith("handshake"):
        return 1.3
    if op.startswith("deflate"):
        return 1.1
    if "frag" in kind:
        return None
    if size <= 125:
        return 1.0 if kind == "binary" and not op.startswith("send") else 1.3
    return 1.4 if size <= 1024 else 1.15


def num(ns):
    return f"{ns / 1e6:.2f}M" if ns >= 1e6 else f"{ns / 1e3:.1f}k" if ns >= 1e4 else f"{ns:.0f}" if ns >= 100 else f"{ns:.1f}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("runs", nargs="+")
    p.add_argument("--md")
    p.add_argument("--json")
    a = p.parse_args()

    cells = {}
    for name in a.runs:
        with open(name) as f:
            rows = json.load(f)["rows"]
        works = {}
        for r in rows:
            works.setdefault(r["work"], []).append(r)
        for work, rs in works.items():
            cell = cells.setdefault(work, {"row": rs[0], "ours": [], "floor": [], "best": [], "of_floor": [], "of_best": []})
            ns = {r["peer"]: r["ns_min"] for r in rs if r["ok"]}
            cell["failed"] = [r["peer"] for r in rs if not r["ok"]]
            if OURS in ns:
                cell["ours"].append(ns[OURS])
            if FLOOR in ns:
                cell["floor"].append(ns[FLOOR])
            if OURS in ns and FLOOR in ns:
                cell["of_floor"].append(ns[OURS] / ns[FLOOR])
            skip = {FLOOR, OURS} | (NO_TAKEOVER if work.startswith("deflate") else set())
            peers = [(t, p) for p, t in ns.items() if p not in skip]
            if peers:
                cell["best"].append(min(peers))
            if peers and OURS in ns:
                cell["of_best"].append(ns[OURS] / min(peers)[0])

    md = ["# Ratios", "",
          f"Ratios within a run, of the least of its rounds; the middle of {len(a.runs)} run(s). In the other columns the least ns per message of all runs. "
          "**Bold**: above the aim. Aims: the best peer in every cell; of the floor 1.0 up to 125 B binary received or echoed, "
          "1.3 up to 125 B otherwise, 1.4 at 1 KiB, 1.15 from 16 KiB on, 1.1 with deflate, 1.3 for handshakes. "
          "Deflate: peers without context takeover (wtx, soketto) are left out, they do other work.", "",
          "| work | floor | best peer | ours | ours/floor | aim | ours/best peer |",
          "|---|---:|---|---:|---:|---:|---:|"]
    out, above = [], []
    for work, c in cells.items():
        limit = aim(c["row"])
        of_floor = median(c["of_floor"]) if c["of_floor"] else None
        of_best = median(c["of_best"]) if c["of_best"] else None
        floor, ours = (min(c[k]) if c[k] else None for k in ("floor", "ours"))
        best = min(c["best"]) if c["best"] else None
        bad_floor = of_floor is not None and limit is not None and of_floor > limit
        bad_best = of_best is not None and of_best > 1.0
        if bad_floor or bad_best:
            above.append(work)
        b = lambda x, bad: "–" if x is None else f"**{x:.2f}**" if bad else f"{x:.2f}"
        md.append(f"| {work} | {num(floor) if floor else '–'} | {best[1] + ' ' + num(best[0]) if best else '–'} | "
                  f"{num(ours) if ours else 'FAILED' if OURS in c['failed'] else '–'} | {b(of_floor, bad_floor)} | {limit or '–'} | {b(of_best, bad_best)} |")
        out.append({"work": work, "floor_ns": floor, "ours_ns": ours, "best_ns": best and best[0], "best_peer": best and best[1],
                    "ours_of_floor": of_floor, "aim": limit, "ours_of_best": of_best, "runs": len(c["ours"]),
                    "all_of_floor": c["of_floor"], "all_of_best": c["of_best"]})
    md += ["", f"{len(cells) - len(above)} of {len(cells)} cells within both aims."]
    text = "\n".join(md) + "\n"
    print(text)
    if a.md:
        with open(a.md, "w") as f:
            f.write(text)
    if a.json:
        with open(a.json, "w") as f:
            json.dump(out, f, indent=1)


main()

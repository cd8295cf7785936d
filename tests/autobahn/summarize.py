#!/usr/bin/env python3
"""Summarize an Autobahn report: a line per case that is not plainly OK, then counts.

Exits 1 if a case is FAILED, missing or (unless allowed) UNIMPLEMENTED, or was
closed with a wrong code, uncleanly, or by the suite because the server had left
the TCP connection open (FAILED BY CLIENT); with --strict also if one is NON-STRICT.
"""

import argparse
import collections
import json
import pathlib
import sys

GOOD = {"OK", "INFORMATIONAL"}
SOFT = {"NON-STRICT"}


def case_key(case):
    return [int(part) for part in case.split(".")]


def verdict(case, args):
    """The worst of a case's two results: good, soft, unimplemented or bad."""
    results = {case["behavior"], case["behaviorClose"]}
    if results <= GOOD:
        return "good"
    if results <= GOOD | SOFT:
        return "bad" if args.strict else "soft"
    if results <= GOOD | SOFT | {"UNIMPLEMENTED"}:
        return "soft" if args.allow_unimplemented else "bad"
    return "bad"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("--strict", action="store_true", help="NON-STRICT results fail too")
    parser.add_argument("--allow-unimplemented", action="store_true", help="UNIMPLEMENTED does not fail")
    parser.add_argument("--expect", type=int, metavar="N", help="another number of cases than N fails")
    args = parser.parse_args()

    if not (args.outdir / "index.json").exists():
        sys.exit(f"summarize.py: no results in {args.outdir}")
    index = json.loads((args.outdir / "index.json").read_text())
    wanted = json.loads((args.outdir / "cases.json").read_text())
    failed = not index
    if args.expect is not None and len(wanted) != args.expect:
        print(f"expected {args.expect} cases, the suite chose {len(wanted)}")
        failed = True
    for agent, cases in sorted(index.items()):
        missing = sorted(set(wanted) - set(cases), key=case_key)
        bad = [case for case in missing]
        for case in sorted(cases, key=case_key):
            result = cases[case]
            judged = verdict(result, args)
            if judged == "bad":
                bad.append(case)
            if {result["behavior"], result["behaviorClose"]} != {"OK"}:
                line = f"{case:8} {result['behavior']:14} close {result['behaviorClose']:16}"
                line += f" code {result['remoteCloseCode']}"
                if judged == "bad":
                    detail = json.loads((args.outdir / result["reportfile"]).read_text())
                    line += f"  <-- {detail['result']} {detail['resultClose']}."
                print(line)
        for case in missing:
            print(f"{case:8} MISSING")

        for name in ("behavior", "behaviorClose"):
            counts = collections.Counter(result[name] for result in cases.values())
            print(f"{agent} {name}: " + ", ".join(f"{value} {count}" for value, count in counts.most_common()))
        print(f"{agent}: {len(cases)} of {len(wanted)} cases, {len(missing)} missing, {len(bad)} bad: "
              + ("FAIL" if bad else "PASS"))
        failed = failed or bool(bad)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

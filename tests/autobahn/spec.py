#!/usr/bin/env python3
"""Print a test specification for wstest: spec.py client|server URL OUTDIR AGENT [CASE...] [-- ...]

Runs in the suite's environment, to refuse what chooses no case: wstest itself would wait for ever.
"""

import json
import os
import sys

from autobahntestsuite.case import CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet

role, url, outdir, agent, *cases = sys.argv[1:]
if "--" in cases:
    cases = cases[: cases.index("--")]
spec = {
    "outdir": os.path.abspath(outdir),
    "cases": [c for c in cases if not c.startswith("-")] or ["*"],
    "exclude-cases": [c[1:] for c in cases if c.startswith("-")],
    "exclude-agent-cases": {},
}
if role == "client":
    spec["servers"] = [{"url": url, "agent": agent}]
else:
    spec["url"] = url

suite = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
chosen = suite.parseSpecCases(spec)
unknown = set(chosen) - set(suite.CasesById)
if unknown or not chosen:
    sys.exit(f"spec.py: {' '.join(cases)}: " + (f"no case {' '.join(sorted(unknown))}" if unknown else "no case chosen"))
print(json.dumps(spec, indent=1))

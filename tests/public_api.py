#!/usr/bin/env python3
"""The public API of sansock shows no crate that has not reached 1.0, except below `tls` (Rust API Guidelines, C-STABLE).

Such a crate's next release would force a new major version of sansock. Reads the JSON of rustdoc, so it needs the nightly
toolchain, and lists each foreign crate with the items whose signatures, bounds or trait implementations name it.
usage: tests/public_api.py
"""

import json
import os
import pathlib
import subprocess
import sys

PACKAGE = "sansock"
# The traits of the ecosystem, whose 0.3 has been stable since 2019.
ALLOWED = {"futures_core", "futures_io", "futures_sink"}
# It is documented that this module follows the versions of rustls.
EXEMPT = ("adapter", "tokio", "tls")
STANDARD = {"std", "core", "alloc", "proc_macro"}
# Where an item of rustdoc lists the items inside it.
CHILDREN = ("items", "impls", "variants", "fields", "tuple")


def cargo(*arguments):
    command = [os.environ.get("CARGO", "cargo"), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def rustdoc(metadata):
    cargo("+nightly", "rustdoc", "--quiet", "--lib", "--package", PACKAGE, "--all-features",
          "--", "-Z", "unstable-options", "--output-format", "json")
    path = pathlib.Path(metadata["target_directory"]) / "doc" / f"{PACKAGE}.json"
    return json.loads(path.read_text())


def versions(metadata):
    """The lowest version of each library, as the numbers in front of its dots."""
    found = {}
    for package in metadata["packages"]:
        major = int(package["version"].split(".")[0])
        for target in package["targets"]:
            if not any("lib" in kind for kind in target["kind"]):
                continue
            name = target["name"].replace("-", "_")
            found[name] = min(found.get(name, (major, package["version"])), (major, package["version"]))
    return found


class Api:
    """Walks the items that users can name, and notes which foreign crates they show."""

    def __init__(self, crate):
        self.root, self.index, self.paths = crate["root"], crate["index"], crate["paths"]
        self.crates = {int(number): crate["name"] for number, crate in crate["external_crates"].items()}
        self.shown = {}
        self.items = 0
        self.seen = set()
        self.walk(self.root, ())

    def note(self, crate, path):
        if crate not in STANDARD:
            self.shown.setdefault(crate, set()).add(path)

    def walk(self, number, path):
        item = self.index.get(str(number))
        if item is None or (number, path) in self.seen:
            return
        self.seen.add((number, path))
        self.items += 1
        (kind, inner), = item["inner"].items()
        if kind == "use":
            self.reexport(inner, path)
            return
        if kind == "impl" and (inner["blanket_impl"] is not None or inner["is_synthetic"]):
            return
        if item["name"] and number != self.root:
            path = (*path, item["name"])
        self.scan(inner, path)

    def reexport(self, inner, path):
        number = inner["id"]
        if number is not None and str(number) in self.index:
            self.walk(number, path)
            return
        summary = self.paths.get(str(number))
        crate = self.crates[summary["crate_id"]] if summary else inner["source"].split("::")[0]
        self.note(crate, (*path, inner["name"]))

    def scan(self, value, path):
        if isinstance(value, list):
            for entry in value:
                self.scan(entry, path)
        elif isinstance(value, dict):
            if "path" in value and isinstance(value.get("id"), int):
                summary = self.paths.get(str(value["id"]))
                if summary and summary["crate_id"] != 0:
                    self.note(self.crates[summary["crate_id"]], path)
            for key, entry in value.items():
                if key in CHILDREN and isinstance(entry, list) and all(isinstance(child, (int, type(None))) for child in entry):
                    for child in entry:
                        if child is not None:
                            self.walk(child, path)
                else:
                    self.scan(entry, path)


def main():
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--all-features"))
    api, version = Api(rustdoc(metadata)), versions(metadata)
    failed = not api.shown
    for crate, paths in sorted(api.shown.items()):
        major, exact = version[crate]
        stable = major > 0 or crate in ALLOWED
        bad = [] if stable else sorted(path for path in paths if path[:len(EXEMPT)] != EXEMPT)
        print(f"{crate} {exact}: {len(paths)} items{'' if stable or bad else ', all below ' + '::'.join(EXEMPT)}")
        for path in bad:
            print(f"    not stable, but shown by {'::'.join(path)}")
        failed |= bool(bad)
    print(f"public API: {api.items} items, {len(api.shown)} foreign crates, {'FAILED' if failed else 'ok'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()

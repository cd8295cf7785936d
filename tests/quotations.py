#!/usr/bin/env python3
"""Each quotation of an RFC in the comments of the source is in the section that it names, word for word.

A quotation is text in double quotes behind a section and a colon: `§5.2: "..."`, or `RFC 7692 §6: "..."`; without a
number the RFC is 6455. `…` stands for what is left out, single quotes for the double quotes of the RFC. White space does
not count.

The texts come from www.rfc-editor.org and are kept in `target/rfc`. Those that are there already are not downloaded.
usage: tests/quotations.py
"""

import pathlib
import re
import sys
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = ROOT / "target" / "rfc"
DEFAULT = "6455"
QUOTATION = re.compile(r'(?:RFC (\d+) )?§(\d+(?:\.\d+)*): "([^"]+)"')
COMMENT = re.compile(r"^\s*//[/!]?(.*)$")
# The table of contents and all other text are indented.
HEADING = re.compile(r"^(\d+(?:\.\d+)*)\.?  ?\S")
PAGE_BREAK = re.compile(r"^(\S.*\[Page \d+\]|RFC \d+ .* \d{4})$")


def comments(path):
    """The comments of a file, each with the number of its first line; lines that follow each other are one comment."""
    first, text = None, []
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        if comment := COMMENT.match(line):
            first = first or number
            text.append(comment[1].strip())
        elif text:
            yield first, " ".join(text)
            first, text = None, []


def quotations():
    """Where each quotation stands, its RFC, its section, and its text."""
    sources = [ROOT / "src", *(crate / "src" for crate in (ROOT / "crates").glob("*"))]
    for path in sorted(path for source in sources for path in source.rglob("*.rs")):
        for line, text in comments(path):
            for rfc, section, quotation in QUOTATION.findall(text):
                yield f"{path.relative_to(ROOT)}:{line}", rfc or DEFAULT, section, quotation


def text_of(rfc):
    """The text of an RFC, from the cache or from its editor."""
    path = TEXTS / f"rfc{rfc}.txt"
    if not path.exists():
        TEXTS.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(f"https://www.rfc-editor.org/rfc/rfc{rfc}.txt", timeout=60) as answer:
            path.write_bytes(answer.read())
    return path.read_text(encoding="utf-8-sig")


def sections(text):
    """The text of each section, the sections inside it included."""
    found, open_sections = {}, []
    for line in text.splitlines():
        if PAGE_BREAK.match(line):
            continue
        if heading := HEADING.match(line):
            number = heading[1]
            open_sections = [outer for outer in open_sections if number.startswith(outer + ".")] + [number]
            found[number] = []
        for number in open_sections:
            found[number].append(line)
    return {number: normalized("\n".join(lines)) for number, lines in found.items()}


def normalized(text):
    """Without white space, semicolons of a grammar's comments, and the difference between the two kinds of quotes."""
    text = re.sub(r"^\s*;", "", text, flags=re.MULTILINE)
    return re.sub(r"\s+", "", text).replace('"', "'")


def is_in(quotation, section):
    """Whether the parts of a quotation are in a section, in their order."""
    at = 0
    for part in quotation.split("…"):
        # A sentence may end before the RFC's does.
        part = normalized(part).removesuffix(".")
        at = section.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def main():
    """Checks all quotations; lists those that are wrong."""
    found = list(quotations())
    try:
        rfcs = {rfc: sections(text_of(rfc)) for rfc in sorted({rfc for _, rfc, _, _ in found})}
    except urllib.error.URLError as error:
        sys.exit(f"the RFCs are needed: {error}")
    wrong = [
        f'{place}: RFC {rfc} §{section} does not say "{quotation}"'
        for place, rfc, section, quotation in found
        if not is_in(quotation, rfcs[rfc].get(section, ""))
    ]
    print("\n".join(wrong) or f"{len(found)} quotations are in their RFCs")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

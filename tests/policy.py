#!/usr/bin/env python3
"""Rules about what may depend on what: rooms, licences, banned crates. Standard library only.

The table of rooms is read from docs/architecture.md, so that the document cannot drift from the code. Crates
make the compiler refuse an import that the manifest does not have; this makes the manifest answer to the table.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PERMISSIVE = {"MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "BSD-2-Clause", "0BSD", "Zlib", "Unlicense", "CC0-1.0",
              "Unicode-3.0", "MIT-0", "BSL-1.0", "CDLA-Permissive-2.0", "Apache-2.0 WITH LLVM-exception", "OpenSSL"}
BANNED = {"ring": "one crypto library: aws-lc-rs", "openssl": "rustls only", "openssl-sys": "rustls only",
          "native-tls": "rustls only"}


def rooms():
    """The table under "Rooms" in docs/architecture.md: room -> what it may import."""
    table = {}
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        row = re.fullmatch(r"\| `([a-z]+)` \|.*\| ([a-z–, ]+) \|", line)
        if row:
            table[row[1]] = set(re.findall(r"[a-z]+", row[2]))
    return table


def run(*command, check=True):
    return subprocess.run(command, check=check, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def allowed(expression):
    """Whether an SPDX expression leaves us a permissive choice."""
    def satisfied(part):
        part = part.strip(" ()")
        return all(one.strip(" ()") in PERMISSIVE for one in part.split(" AND "))
    expression = expression.replace("/", " OR ")
    return any(satisfied(part) for part in re.split(r" OR (?![^(]*\))", expression)) or all(
        any(satisfied(one) for one in part.strip(" ()").split(" OR ")) for part in expression.split(" AND "))


def main():
    table, problems = rooms(), []
    if not table:
        problems.append("docs/architecture.md: no table of rooms was found")
    built = run("cargo", "tree", "--workspace", "--locked", "--target", "all", "-e", "normal,build,dev", "--prefix", "none",
                "--no-dedupe", "--format", "{p}|{l}").splitlines()
    built = {(line.split()[0], line.rpartition("|")[2]) for line in built if line.strip()}
    for name, licence in sorted(built):
        if name in BANNED:
            problems.append(f"{name} is in the tree: {BANNED[name]} (cargo tree -i {name})")
        if not allowed(licence or "none"):
            problems.append(f"{name}: licence {licence} is not on the list of permissive ones")
    for package in json.loads(run("cargo", "metadata", "--format-version", "1", "--locked", "--no-deps"))["packages"]:
        folder = Path(package["manifest_path"]).parent.relative_to(ROOT)
        # What is only for tests is no room, and no room may lean on it: the arrows below name rooms alone.
        if folder.parts[0] == "tests":
            continue
        room = folder.name
        if room not in table:
            problems.append(f"{folder} is no room of docs/architecture.md")
            continue
        imports = {dependency["rename"] or dependency["name"] for dependency in package["dependencies"]
                   if dependency.get("path") and dependency["kind"] != "dev"}
        for extra in sorted(imports - table[room]):
            problems.append(f"crates/{room} imports {extra}, which docs/architecture.md does not allow")
    unsafe = run("git", "grep", "-nE", r"\bunsafe\s*(\{|fn|impl)", "--", "crates/*.rs", ":!crates/bridge", check=False)
    problems += [f"unsafe outside the bridge: {line}" for line in unsafe.splitlines()]
    for problem in problems:
        print(f"policy: {problem}", file=sys.stderr)
    print(f"policy: {len(built)} packages, {len(table)} rooms, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Draws docs/crates.svg, the crates as floors, from the manifests and docs/architecture.md. Standard library only."""

import argparse
import sys

sys.dont_write_bytecode = True

from policy import picture  # noqa: E402
from policy.repository import ROOT  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the committed picture is stale")
    if parser.parse_args().check:
        problems = picture.check()
    else:
        drawn, problems = picture.current()
        (ROOT / picture.PICTURE).write_text(drawn)
    for problem in problems:
        print(f"draw_crates: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Checks the book in docs/: its contents, links, quoted messages, snippets and generated pages. Standard library only; each check is a file in tests/book/.

The last line counts the problems; each problem says what was found, what is expected, and how to fix it.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from book import generated, links, messages, pages, snippets, summary  # noqa: E402

CHECKS = {
    "summary": lambda options: summary.check(),
    "links": lambda options: links.check(),
    "messages": lambda options: messages.check(),
    "generated": lambda options: generated.check(options.pointsman),
    "snippets": lambda options: snippets.check(options.pointsman),
}
BINARY = pages.ROOT / "target/debug/pointsman"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"only these: {', '.join(CHECKS)}")
    parser.add_argument("--pointsman", metavar="PATH", default=BINARY, type=Path, help="default: target/debug/pointsman")
    parser.add_argument("--write", action="store_true", help="check nothing; write the generated pages")
    options = parser.parse_args()
    options.pointsman = options.pointsman.resolve()
    if unknown := [name for name in options.checks if name not in CHECKS]:
        parser.error(f"no check is called {unknown[0]}; there are {', '.join(CHECKS)}")
    if not options.pointsman.is_file():
        parser.error(f"{options.pointsman} does not exist: build it (cargo build), or name it (--pointsman PATH)")
    if options.write:
        generated.write(options.pointsman)
        return 0
    chosen = options.checks or list(CHECKS)
    count = 0
    for name in chosen:
        for problem in CHECKS[name](options):
            count += 1
            print(f"{name}: {problem}", file=sys.stderr)
    print(f"book: {len(chosen)} {'check' if len(chosen) == 1 else 'checks'}, {count} {'problem' if count == 1 else 'problems'}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())

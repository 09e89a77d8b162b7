#!/usr/bin/env python3
"""Checks the rules that neither the compiler nor clippy checks. Standard library only; each check is a file in tests/policy/.

The last line counts the problems; each problem says what was found, what is expected, and how to fix it.
"""

import argparse
import signal
import sys

sys.dont_write_bytecode = True

from policy import cycles, dependencies, forms, lookups, manifests, picture, report, sizes, text  # noqa: E402

CHECKS = {
    "dependencies": dependencies.check,
    "manifests": manifests.check,
    "picture": picture.check,
    "cycles": cycles.check,
    "sizes": sizes.check,
    "forms": forms.check,
    "lookups": lookups.check,
    "text": text.check,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"only these: {', '.join(CHECKS)}")
    parser.add_argument("--report", action="store_true", help="check nothing; print sizes, compressed forms and cycles by crate")
    options = parser.parse_args()
    unknown = [name for name in options.checks if name not in CHECKS]
    if unknown:
        parser.error(f"no check is called {unknown[0]}; there are {', '.join(CHECKS)}")
    if options.report:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `--report | head` ends quietly
        report.print_report()
        return 0
    count = 0
    chosen = options.checks or list(CHECKS)
    for name in chosen:
        for problem in CHECKS[name]():
            count += 1
            print(f"{name}: {problem}", file=sys.stderr)
    print(f"policy: {len(chosen)} {'check' if len(chosen) == 1 else 'checks'}, {count} {'problem' if count == 1 else 'problems'}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())

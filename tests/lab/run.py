#!/usr/bin/env python3
"""Starts the laboratory and one proxy, runs the tests against them, ends them. The last line: `N passed, N failed`."""

import argparse
import importlib
import os
import pkgutil
import signal
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Where cargo builds.
TARGET = HERE.parent.parent / os.environ.get("CARGO_TARGET_DIR", "target")
sys.path.insert(0, str(HERE))
# Debian's own modules (h2, websockets), for a Python that is not Debian's, too.
sys.path.append("/usr/lib/python3/dist-packages")
sys.dont_write_bytecode = True

import cases  # noqa: E402
from cases import base  # noqa: E402
from lab.laboratory import Laboratory  # noqa: E402

# The test of the logs reads what all others have left there.
LAST = "test_secrets"
# Take minutes, because real servers delay, or need a Debian to install a package in: run only where a pattern selects them.
SEPARATE = ("test_conformance", "test_package")


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # unwinds: what was started is stopped
    binary = find_binary(options.pointsman)
    if binary is None and not options.lab_only:
        print("lab: no pointsman: build it (cargo build), name it (--pointsman PATH), or test the laboratory alone (--lab-only)")
        return 2
    suite = load(options.k, options.lab_only)
    with Laboratory(keep=options.keep) as lab:
        for limit in lab.limits():
            print(f"lab: {limit}")
        print(f"lab: {lab.dir}, {'no proxy' if options.lab_only else binary}", flush=True)
        try:
            base.begin(lab, None if options.lab_only else binary)
            result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout, resultclass=Result).run(suite)
        finally:
            base.end()
    failed = len({test.id() for test in result.unsuccessful()})
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    return 1 if failed or result.testsRun == 0 else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", action="append", metavar="PATTERN", help="only tests whose name has it (or matches it, with *)")
    parser.add_argument("--keep", action="store_true", help="leave the scratch directory, with all logs")
    parser.add_argument("--pointsman", metavar="PATH", help="default: target/debug/pointsman, else target/release/pointsman")
    parser.add_argument("--lab-only", action="store_true", help="test the laboratory itself, without a proxy")
    return parser.parse_args()


def find_binary(given):
    candidates = [given] if given else [TARGET / "debug/pointsman", TARGET / "release/pointsman"]
    return next((str(Path(path).resolve()) for path in candidates if Path(path).is_file()), None)


def measured_binary(given):
    """For figures: the release build first. Ends the program where there is none."""
    release = TARGET / "release/pointsman"
    return find_binary(given or (release if release.is_file() else None)) or sys.exit(
        f"{Path(sys.argv[0]).stem}: no pointsman: cargo build --release, or --pointsman PATH")


def load(patterns, is_lab_only):
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [pattern if "*" in pattern else f"*{pattern}*" for pattern in patterns]
    names = sorted((module.name for module in pkgutil.iter_modules(cases.__path__) if module.name.startswith("test_")),
                   key=lambda name: (name == LAST, name))
    suite = unittest.TestSuite()
    for name in names:
        if name in SEPARATE and not patterns:
            continue
        for test in flatten(loader.loadTestsFromModule(importlib.import_module(f"cases.{name}"))):
            if isinstance(test, base.Case) and (not test.needs_proxy or not is_lab_only):
                suite.addTest(test)
    return suite


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


class Result(unittest.TextTestResult):
    """Tells how long each test took, and counts a test with several failed parts once."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        if (took := time.monotonic() - self.began) > 2:
            self.stream.writeln(f"    ({took:.1f} s)")

    def unsuccessful(self):
        tests = [test for test, _ in self.failures + self.errors] + self.unexpectedSuccesses
        return [getattr(test, "test_case", test) for test in tests]


if __name__ == "__main__":
    sys.exit(main())

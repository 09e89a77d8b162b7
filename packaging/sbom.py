#!/usr/bin/env python3
"""Prints a CycloneDX 1.5 SBOM of the program: every crate that its build for TARGET compiles or runs, from Cargo.lock."""

import argparse
import json
import os
import subprocess
import tomllib
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "pointsman"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="such as x86_64-unknown-linux-gnu")
    print(json.dumps(document(parser.parse_args().target), indent=1))


def document(target):
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    [program] = [package_id for package_id in metadata["workspace_members"] if packages[package_id]["name"] == PROGRAM]
    used = reachable(program, nodes)
    sums = checksums()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, timezone.utc).isoformat(),
            "component": component(packages[program], sums, "application"),
        },
        "components": sorted((component(packages[found], sums) for found in used - {program}), key=lambda part: part["bom-ref"]),
        "dependencies": sorted(({"ref": reference(packages[found]),
                                 "dependsOn": sorted({reference(packages[other]) for other in needed(nodes[found])})}
                                for found in used), key=lambda edge: edge["ref"]),
    }


def reachable(start, nodes):
    found, waiting = set(), [start]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            waiting.extend(needed(nodes[package]))
    return found


def needed(node):
    """What a crate is built from, without what only its tests use."""
    return [dependency["pkg"] for dependency in node["deps"] if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])]


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, sums, kind="library"):
    part = {"type": kind, "bom-ref": reference(package), "name": package["name"], "version": package["version"],
            "purl": reference(package)}
    if package["license"]:
        # Some crates still write the form that Cargo took before SPDX expressions.
        part["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum := sums.get((package["name"], package["version"])):
        part["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return part


if __name__ == "__main__":
    main()

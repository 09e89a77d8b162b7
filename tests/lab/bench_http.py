#!/usr/bin/env python3
"""Measures what the proxy costs over HTTP, against a real nginx and in one run: latency, requests a second, throughput.

Three ways to the same nginx take turns: direct, through one more nginx as a reverse proxy, which is what a hop costs at all, and
through the proxy, which besides looks into every request for its account.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from bench import MIB, quiet  # noqa: E402
from clients.http1 import basic  # noqa: E402
from lab.laboratory import Laboratory  # noqa: E402
from lab.process import Daemon, run  # noqa: E402
from lab.proxy import Proxy  # noqa: E402
from lab.template import fill  # noqa: E402
from lab.waiting import answers, until  # noqa: E402
from lab.web import configuration, layout  # noqa: E402
from lab.web.nginx import Nginx  # noqa: E402
from run import measured_binary  # noqa: E402

# h2load's options: the version, connections, requests at once on each.
LOADS = {
    "http1_latency": ("--h1", "-c1", "-m1"),
    "http2_latency": ("--npn-list=h2", "-c1", "-m1"),
    "http1_load": ("--h1", "-c16", "-m1"),
    "http2_load": ("--npn-list=h2", "-c4", "-m16"),
}
HOP_HOST, HOP_PORT = 62, 8443
SMALL, LARGE = "small", "large"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pointsman", metavar="PATH", help="default: target/release/pointsman, else target/debug/pointsman")
    parser.add_argument("--requests", type=int, default=5000, help="small requests of each measurement")
    parser.add_argument("--mib", type=int, default=256, help="size of a download")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each way has")
    parser.add_argument("--json", action="store_true", help="the figures for a machine")
    options = parser.parse_args()
    binary = measured_binary(options.pointsman)
    figures = {"binary": binary}
    with Laboratory() as lab, ExitStack() as stack:
        ways = servers(lab, binary, options.mib, stack)
        for name, load in LOADS.items():
            figures |= small(name, ways, load, options)
        for version in ("1.1", "2"):
            figures |= downloads(f"http{version[0]}_download", ways, version, options)
    print(json.dumps(figures, indent=2) if options.json else "\n".join(f"{key:32} {value}" for key, value in figures.items()))


def servers(lab, binary, mib, stack):
    """Name of each way -> (its URL, the account that it leads to nginx); everything is stopped with `stack`."""
    nginx = Nginx(lab.old)
    nginx.start()
    stack.callback(nginx.stop)
    (nginx.files / SMALL).write_bytes(b"x" * 1024)
    with open(nginx.files / LARGE, "wb") as file:
        file.truncate(mib * MIB)
    hop = stack.enter_context(one_more_nginx(lab))
    proxy = stack.enter_context(Proxy(lab, binary, "web", 60, configuration.web(lab, change), layout.table()))
    direct = f"{lab.old.host}:{layout.port('dav')}"
    proxied = f"{proxy.host}:{layout.LISTENERS['implicit'][0]}"
    return {"direct": (direct, "old-dav"), "nginx": (hop, "old-dav"), "proxied": (proxied, "old-dav"),
            "proxied_h2_leg": (proxied, "old-dav2")}


def change(document):
    quiet(document)
    # Where a connection has to be made anew, that is measured too: every way is to make as few.
    document["http"]["max_keepalive_requests"] = 1_000_000
    for name in ("old-dav", "old-dav2"):
        document["destination"][name]["forwarding"] = "none"
        document["destination"][name]["protocol"]["http"]["port"] = layout.port("dav")


@contextmanager
def one_more_nginx(lab):
    host, folder = lab.block.host(HOP_HOST), lab.dir / "hop"
    folder.mkdir()
    (folder / "conf").write_text(fill(
        "nginx-hop.conf", dir=folder, host=host, port=HOP_PORT, cert=lab.old.pair.cert, key=lab.old.pair.key,
        to=f"{lab.old.host}:{layout.port('dav')}"))
    with open(folder / "stderr.log", "ab") as out:
        daemon = Daemon("nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "conf", "-g", "daemon off;", out=out)
    try:
        until(lambda: answers(host, HOP_PORT), "the nginx in between does not answer")
        yield f"{host}:{HOP_PORT}"
    finally:
        daemon.stop()


def small(name, ways, load, options):
    """Median microseconds of a request where there is one at a time, requests a second where there are many."""
    found = {way: [] for way in ways}
    for number in range(options.rounds + 1):
        for way, (place, destination) in ways.items():
            account = layout.account(destination)
            with tempfile.NamedTemporaryFile("r") as log:
                done = run("h2load", *load, "-n", options.requests if number else options.requests // 10, "--log-file", log.name,
                           "-H", ": ".join(basic(account, layout.password(account))), f"https://{place}/{SMALL}")
                if number:  # the first round warms all sides up
                    found[way].append(_measured(done.stdout, log.read(), name))
    return _figures(name, "us" if name.endswith("latency") else "per_s", found)


def _measured(text, log, name):
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", text)
    assert failed.groups() == ("0", "0", "0") and "2xx, 0 3xx, 0 4xx, 0 5xx" in text, text
    if name.endswith("latency"):
        # A line for each request: when it began, its status, how long it took.
        return statistics.median(int(line.split()[2]) for line in log.splitlines())
    return float(re.search(r"finished in .*?, ([\d.]+) req/s", text)[1])


def downloads(name, ways, version, options):
    """MiB a second of one large file."""
    found = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, (place, destination) in ways.items():
            account = layout.account(destination)
            done = run("curl", "--insecure", "--silent", "--show-error", "--fail", f"--http{version}", "--output", "/dev/null",
                       "--user", f"{account}:{layout.password(account)}",
                       "--write-out", "%{http_version} %{size_download} %{speed_download}", f"https://{place}/{LARGE}")
            spoken, size, rate = done.stdout.split()
            assert (spoken, int(size)) == (version, options.mib * MIB), done.stdout
            found[way].append(float(rate) / MIB)
    return _figures(name, "mib_per_s", found)


def _figures(name, unit, found):
    medians = {way: statistics.median(values) for way, values in found.items()}
    figures = {f"{name}_{way}_{unit}": round(median, 1) for way, median in medians.items()}
    return figures | {f"{name}_ratio_{way}": round(median / medians["direct"], 2)
                      for way, median in medians.items() if way != "direct"}


if __name__ == "__main__":
    main()

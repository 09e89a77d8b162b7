#!/usr/bin/env python3
"""Measures what the proxy costs, against real servers and in one run: login latency, memory of an idle session, throughput.

Direct and proxied measurements take turns, so that whatever else the machine does falls on both alike.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from cases.test_imap_load import big_message  # noqa: E402
from clients.addresses import fresh  # noqa: E402
from clients.imap import Imap  # noqa: E402
from lab.laboratory import Laboratory  # noqa: E402
from lab.layout import ACCOUNTS, CROWD, address  # noqa: E402
from lab.proxy import Proxy  # noqa: E402
from run import measured_binary  # noqa: E402

MIB = 1024 * 1024
BIG_MIB = 32


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pointsman", metavar="PATH", help="default: target/release/pointsman, else target/debug/pointsman")
    parser.add_argument("--logins", type=int, default=200, help="logins measured on each way")
    parser.add_argument("--sessions", type=int, default=1000, help="idle sessions")
    parser.add_argument("--fetches", type=int, default=8, help=f"messages of {BIG_MIB} MiB fetched on each way")
    parser.add_argument("--json", action="store_true", help="the figures for a machine")
    options = parser.parse_args()
    binary = measured_binary(options.pointsman)
    allow_descriptors(2 * options.sessions + 256)
    with Laboratory() as lab, Proxy(lab, binary, change=quiet) as proxy:
        ways = {"direct": lab.old.endpoint("imaps"), "proxied": proxy.endpoint("implicit")}
        figures = {"binary": binary}
        figures |= login_latency(ways, options.logins)
        figures |= throughput(ways, options.fetches)
        figures |= idle_memory(proxy, options.sessions)
    print(json.dumps(figures, indent=2) if options.json else "\n".join(f"{key:32} {value}" for key, value in figures.items()))


def quiet(document):
    """As it would run for real."""
    document["server"]["log_level"] = "info"


def allow_descriptors(count):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(count, 4096)), hard))


def logged_in(endpoint, name):
    talk = Imap(endpoint, fresh())
    done = talk.login(address(name), ACCOUNTS[address(name)])
    assert done.startswith("OK"), talk.report("the login was refused")
    return talk


def login_latency(ways, count):
    """From connect to the tagged OK, the TLS handshake included, none of them resumed."""
    times = {way: [] for way in ways}
    for number in range(count + 10):
        for way, endpoint in ways.items():
            began = time.perf_counter()
            talk = logged_in(endpoint, f"crowd{number % CROWD}")
            took = time.perf_counter() - began
            talk.logout()
            if number >= 10:  # the first ones warm both sides up
                times[way].append(took * 1000)
    medians = {way: statistics.median(values) for way, values in times.items()}
    figures = {f"login_{way}_median_ms": round(median, 2) for way, median in medians.items()}
    figures |= {f"login_{way}_p95_ms": round(statistics.quantiles(values, n=20)[-1], 2) for way, values in times.items()}
    return figures | {"login_ratio": round(medians["proxied"] / medians["direct"], 2)}


def throughput(ways, count):
    """Of a big FETCH, in MiB a second."""
    message = big_message(BIG_MIB * MIB)
    with logged_in(ways["direct"], "big") as talk:
        talk.send(b"a APPEND INBOX {%d+}\r\n" % len(message))
        talk.socket.sendall(message + b"\r\n")
        assert talk.reply("a")[0].startswith("OK"), talk.report("APPEND was refused")
    talks = {way: logged_in(endpoint, "big") for way, endpoint in ways.items()}
    rates = {way: [] for way in ways}
    for talk in talks.values():
        talk.ok("SELECT INBOX")
    for _ in range(count):
        for way, talk in talks.items():
            rates[way].append(fetch_rate(talk))
    for talk in talks.values():
        talk.logout()
    medians = {way: statistics.median(values) for way, values in rates.items()}
    figures = {f"fetch_{way}_mib_per_s": round(median / MIB, 1) for way, median in medians.items()}
    return figures | {"fetch_ratio": round(medians["proxied"] / medians["direct"], 2)}


def fetch_rate(talk):
    """Bytes a second; the bytes are counted and thrown away."""
    began = time.perf_counter()
    talk.say("f FETCH * BODY.PEEK[]")
    size = missing = int(talk.line().rpartition("{")[2].rstrip("}"))
    missing -= len(talk.unread)
    talk.unread = b""
    while missing > 0:
        missing -= len(talk.socket.recv(min(missing, 262144)))
    rate = size / (time.perf_counter() - began)
    assert talk.reply("f")[0].startswith("OK"), talk.report("FETCH was refused")
    return rate


def idle_memory(proxy, count):
    """Resident memory that each idle session adds, logged in and bridged."""
    before = proxy.memory()
    with ThreadPoolExecutor(8) as pool:
        talks = list(pool.map(lambda number: logged_in(proxy.endpoint(), f"crowd{number % CROWD}"), range(count)))
    after = proxy.memory()
    for talk in talks:
        talk.close()
    return {"idle_sessions": count, "rss_before_kib": before // 1024, "rss_with_sessions_kib": after // 1024,
            "idle_session_kib": round((after - before) / count / 1024, 2)}


if __name__ == "__main__":
    main()

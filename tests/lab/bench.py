#!/usr/bin/env python3
"""Measures what the proxy costs, against real servers and in one run: login latency, memory of an idle session, throughput,
and the CPU time of the proxy for each.

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

KIB = 1024
MIB = 1024 * 1024
BIG_MIB = 32
BURST_KIB = 256


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
        figures |= login_latency(proxy, ways, options.logins)
        figures |= throughput(proxy, ways, options.fetches)
        figures |= idle_memory(proxy, ways["direct"], options.sessions)
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


def append(endpoint, name, message):
    with logged_in(endpoint, name) as talk:
        talk.send(b"a APPEND INBOX {%d+}\r\n" % len(message))
        talk.socket.sendall(message + b"\r\n")
        assert talk.reply("a")[0].startswith("OK"), talk.report("APPEND was refused")


def login_latency(proxy, ways, count):
    """From connect to the tagged OK, the TLS handshake included, none of them resumed; CPU time until the logout."""
    times = {way: [] for way in ways}
    cpu = 0
    for number in range(count + 10):
        if number == 10:
            cpu = proxy.cpu_time()
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
    per_login = (proxy.cpu_time() - cpu) / count
    return figures | {"login_ratio": round(medians["proxied"] / medians["direct"], 2), "login_cpu_us": round(per_login * 1e6)}


def throughput(proxy, ways, count):
    """Of a big FETCH, in MiB a second."""
    append(ways["direct"], "big", big_message(BIG_MIB * MIB))
    talks = {way: logged_in(endpoint, "big") for way, endpoint in ways.items()}
    rates = {way: [] for way in ways}
    for talk in talks.values():
        talk.ok("SELECT INBOX")
    cpu = proxy.cpu_time()
    for _ in range(count):
        for way, talk in talks.items():
            rates[way].append(fetch_rate(talk))
    per_gib = (proxy.cpu_time() - cpu) / (count * BIG_MIB) * KIB
    for talk in talks.values():
        talk.logout()
    medians = {way: statistics.median(values) for way, values in rates.items()}
    figures = {f"fetch_{way}_mib_per_s": round(median / MIB, 1) for way, median in medians.items()}
    return figures | {"fetch_ratio": round(medians["proxied"] / medians["direct"], 2), "fetch_cpu_s_per_gib": round(per_gib, 3)}


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


def idle_memory(proxy, direct, count):
    """Resident memory that each idle session adds, logged in and bridged; before and after it has moved a message."""
    message = big_message(BURST_KIB * KIB)
    for number in range(min(count, CROWD)):
        append(direct, f"crowd{number}", message)
    before = proxy.memory()
    with ThreadPoolExecutor(8) as pool:
        talks = list(pool.map(lambda number: logged_in(proxy.endpoint(), f"crowd{number % CROWD}"), range(count)))
        idle = proxy.memory()
        list(pool.map(burst, talks))
    after = proxy.memory()
    for talk in talks:
        talk.close()
    return {"idle_sessions": count, "rss_before_kib": before // KIB, "rss_with_sessions_kib": idle // KIB,
            "idle_session_kib": round((idle - before) / count / KIB, 2),
            f"idle_session_after_{BURST_KIB}_kib": round((after - before) / count / KIB, 2)}


def burst(talk):
    talk.ok("SELECT INBOX")
    fetch_rate(talk)


if __name__ == "__main__":
    main()

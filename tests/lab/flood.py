#!/usr/bin/env python3
"""What a flood of wrong tokens at the management API costs those who read mail: login latency and the proxy's time.

Three phases with the same logins: quiet; the flood against a socket that the proxy has no part in, which shows what the
flood's own processes take from this machine; the flood against the API. What the API costs is the difference of the last two.
"""

import argparse
import multiprocessing
import os
import socket
import ssl
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from bench import logged_in, quiet  # noqa: E402
from cases.test_admin import PORT, managed  # noqa: E402
from lab.laboratory import Laboratory  # noqa: E402
from lab.layout import CROWD  # noqa: E402
from lab.proxy import Proxy  # noqa: E402
from run import find_binary  # noqa: E402

WRONG = b"GET /stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"f" * 64 + b"\r\n\r\n"
TICKS = os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pointsman", metavar="PATH", help="default: target/debug/pointsman, else target/release/pointsman")
    parser.add_argument("--seconds", type=float, default=6, help="of each phase")
    parser.add_argument("--flooders", type=int, default=2, help="processes that guess")
    options = parser.parse_args()
    binary = find_binary(options.pointsman)
    if binary is None:
        sys.exit("flood: no pointsman: cargo build, or --pointsman PATH")
    with Laboratory() as lab, Proxy(lab, binary, change=lambda document: (managed(document), quiet(document))) as proxy, \
            socket.create_server((lab.block.host(98), PORT), backlog=128) as bystander:
        closer = multiprocessing.Process(target=close_all, args=(bystander,), daemon=True)
        closer.start()
        for phase, target in (("quiet", None), ("flood elsewhere", bystander.getsockname()), ("flood", (proxy.host, PORT))):
            print(f"{phase:16} {measure(proxy, target, options)}", flush=True)
        closer.kill()


def measure(proxy, target, options):
    """One phase, in words."""
    ending, tried, heard = (multiprocessing.Value(kind, 0) for kind in "iii")
    flooders = [multiprocessing.Process(target=guess, args=(target, number, ending, tried, heard))
                for number in range(options.flooders if target else 0)]
    for flooder in flooders:
        flooder.start()
    times, began, used = [], time.monotonic(), cpu(proxy)
    while time.monotonic() - began < options.seconds:
        start = time.perf_counter()
        logged_in(proxy.endpoint(), f"crowd{len(times) % CROWD}").logout()
        times.append((time.perf_counter() - start) * 1000)
    took, used = time.monotonic() - began, cpu(proxy) - used
    ending.value = 1
    for flooder in flooders:
        flooder.join()
    return (f"{tried.value / took:7.0f} guesses/s, {heard.value / took:5.1f} answered/s; login median {statistics.median(times):6.2f} ms, "
            f"p95 {statistics.quantiles(times, n=20)[-1]:6.2f} ms; proxy {used / took * 100:4.1f} % of a core, "
            f"{used / len(times) * 1000:5.2f} ms a login")


def guess(target, number, ending, tried, heard):
    """Guesses as fast as it can, each time on a connection of its own."""
    context = ssl._create_unverified_context()
    while not ending.value:
        with tried.get_lock():
            tried.value += 1
        try:
            with socket.socket() as plain:
                plain.bind((f"127.5.0.{number + 1}", 0))
                plain.settimeout(2)
                plain.connect(target)
                # Whoever was turned away finds the end; a server that waits for us says nothing yet.
                plain.settimeout(0.0002)
                try:
                    if plain.recv(1, socket.MSG_PEEK) == b"":
                        continue
                except TimeoutError:
                    pass
                plain.settimeout(2)
                with context.wrap_socket(plain) as stream:
                    stream.sendall(WRONG)
                    if stream.recv(64):
                        with heard.get_lock():
                            heard.value += 1
        except OSError:
            pass


def close_all(server):
    """Accepts and closes, as the least that any server could do."""
    while True:
        server.accept()[0].close()


def cpu(proxy):
    """Seconds of processor time that the proxy has used."""
    fields = Path(f"/proc/{proxy.daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()

"""Starts a program with listening sockets, as systemd does: `launcher.py [--names A:B] [udp:]HOST:PORT... -- COMMAND...`."""

import os
import socket
import sys

FIRST = 3


def main():
    rest = sys.argv[1:]
    if rest[0] == "--names":
        os.environ["LISTEN_FDNAMES"] = rest[1]
        rest = rest[2:]
    end = rest.index("--")
    addresses, command = rest[:end], rest[end + 1:]
    # Kept until all are open, so that no number is used twice.
    opened = []
    for address in addresses:
        is_udp = address.startswith("udp:")
        host, _, port = address.removeprefix("udp:").rpartition(":")
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, int(port)))
        if not is_udp:
            one.listen(128)
        opened.append(one)
    # Away from the numbers that they are to have.
    copies = [os.dup(one.fileno()) for one in opened]
    high = [os.dup2(copy, 100 + index) for index, copy in enumerate(copies)]
    for one in opened:
        one.close()
    for index, number in enumerate(high):
        os.dup2(number, FIRST + index, inheritable=True)
    os.closerange(FIRST + len(high), 200)
    os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = str(len(high)), str(os.getpid())
    os.execvp(command[0], command)


main()

"""Reads the PROXY header that a backend of the lab requires of the proxy."""

import socket
import struct


class Proxied:
    """What a PROXY header said: (address, port) of the client, and of where it connected to; TLVs by type."""

    def __init__(self, source, destination, tlvs):
        self.source, self.destination, self.tlvs = source, destination, tlvs


def read_proxy_header(accepted):
    """Reads a header of version 2, and not a byte more. Raises ConnectionAbortedError for anything else."""
    start = _exactly(accepted, 16)
    signature, command, family, size = start[:12], start[12], start[13], struct.unpack("!H", start[14:])[0]
    if signature != b"\r\n\r\n\0\r\nQUIT\n" or command not in (0x20, 0x21):
        raise ConnectionAbortedError(f"no PROXY header: {start!r}")
    data = _exactly(accepted, size)
    if command == 0x20:
        return Proxied(None, None, {})
    width, kind = {0x11: (4, socket.AF_INET), 0x21: (16, socket.AF_INET6)}[family]
    addresses = [socket.inet_ntop(kind, data[at:at + width]) for at in (0, width)]
    ports = struct.unpack("!HH", data[2 * width:2 * width + 4])
    return Proxied((addresses[0], ports[0]), (addresses[1], ports[1]), _tlvs(data[2 * width + 4:]))


def _tlvs(data):
    found = {}
    while data:
        kind, size = struct.unpack("!BH", data[:3])
        found[kind], data = data[3:3 + size], data[3 + size:]
    return found


def _exactly(accepted, count):
    data = b""
    while len(data) < count:
        piece = accepted.recv(count - len(data))
        if not piece:
            raise ConnectionAbortedError(f"the connection ended inside a PROXY header: {data!r}")
        data += piece
    return data

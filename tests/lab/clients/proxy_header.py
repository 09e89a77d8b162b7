"""PROXY protocol headers, versions 1 and 2, right ones and wrong ones."""

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6, UNSPEC = 0x11, 0x21, 0x00


def v1(source, destination):
    """`PROXY TCP4 …`; both are (address, port) of one family."""
    family = "TCP6" if ":" in source[0] else "TCP4"
    return f"PROXY {family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()


def v2(source, destination, tlvs=b""):
    near, far = ipaddress.ip_address(source[0]), ipaddress.ip_address(destination[0])
    body = near.packed + far.packed + struct.pack("!HH", source[1], destination[1]) + tlvs
    return frame(PROXY, TCP4 if near.version == 4 else TCP6, body)


def frame(command, family, body=b""):
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind, data):
    return struct.pack("!BH", kind, len(data)) + data

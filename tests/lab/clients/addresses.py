"""Client addresses: each test takes one of its own, so that a server's log can be asked about it alone."""

import itertools
import threading

_numbers = itertools.count(1)
_lock = threading.Lock()


def fresh(second=2):
    """An address of 127.SECOND.0.0/16 that nobody has had: 2 = anybody, 3 = balancers, 4 = fronts."""
    with _lock:
        number = next(_numbers)
    return f"127.{second}.{number // 250}.{number % 250 + 1}"

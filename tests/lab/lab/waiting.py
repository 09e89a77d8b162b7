"""Waiting for something to become true, with an end. The only `sleep` of the laboratory is here."""

import socket
import time


class TookTooLong(AssertionError):
    """What was waited for did not happen."""


def until(condition, what, limit=10.0, every=0.02):
    """Polls until `condition()` is truthy and returns that; `what` may be a function that looks at the scene."""
    deadline = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TookTooLong(f"waited {limit} s in vain: {what() if callable(what) else what}")
        time.sleep(every)
    return value


def answers(host, port):
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True

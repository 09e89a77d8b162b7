"""Logins that arrive at a steady rate, whatever becomes of those before them: an open loop, by a schedule."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

# Logins under way at once; beyond that they wait, which counts as theirs.
AT_ONCE = 64


@dataclass
class Arrival:
    """One login. Times are of the monotonic clock, in seconds."""

    due: float
    began: float = 0.0
    ended: float = 0.0
    # What the login came to.
    result: str = ""
    fault: str = ""

    @property
    def took(self):
        """From the moment that it should have begun, so that a standstill counts in all whom it kept waiting."""
        return self.ended - self.due


class Arrivals:
    """Calls `log_in(number)` `rate` times a second, from now on until `stop`."""

    def __init__(self, rate, log_in):
        self.rate, self.log_in, self.made, self.is_over = rate, log_in, [], threading.Event()
        self.pool = ThreadPoolExecutor(AT_ONCE)
        self.pacer = threading.Thread(target=self._pace, daemon=True)
        self.began = time.monotonic()
        self.pacer.start()

    def _pace(self):
        for number in itertools.count():
            due = self.began + number / self.rate
            if self.is_over.wait(max(0.0, due - time.monotonic())):
                return
            arrival = Arrival(due)
            self.made.append(arrival)
            self.pool.submit(self._arrive, number, arrival)

    def _arrive(self, number, arrival):
        arrival.began = time.monotonic()
        try:
            arrival.result = self.log_in(number)
        except (OSError, AssertionError, LookupError) as error:
            arrival.fault = repr(error)
        arrival.ended = time.monotonic()

    def ended(self):
        """How many have come to their end."""
        return sum(arrival.ended > 0 for arrival in list(self.made))

    def stop(self):
        """No more begin; every one that did, when all have ended."""
        self.is_over.set()
        self.pacer.join()
        self.pool.shutdown()
        return self.made

"""The life of the process: what a service manager is told, drains, upgrades."""

import signal
import time

from lab.layout import ACCOUNTS, address
from lab.service_manager import Notified
from lab.waiting import until

from .base import Case, new_proxy

ALICE = address("alice")


def long_grace(document):
    document["server"]["shutdown_grace"] = "30s"


class Notify(Case):
    """`Type=notify`."""

    def started(self, name, host_number, notify_address, **environment):
        notified = Notified(notify_address)
        self.addCleanup(notified.close)
        proxy = new_proxy(name, host_number, long_grace)
        proxy.environment = {"NOTIFY_SOCKET": notified.address, **environment}
        self.addCleanup(proxy.stop)
        return proxy.start(), notified

    def test_ready_reloading_and_stopping(self):
        proxy, notified = self.started("notify-path", 95, self.lab.dir / "notify")
        until(lambda: notified.messages, "READY is not sent")
        self.assertEqual(notified.messages, [{"READY": "1", "STATUS": "ready"}])
        before = time.monotonic_ns() // 1000
        proxy.reload()
        until(lambda: len(notified.messages) == 3, lambda: notified.messages)
        reloading, ready = notified.messages[1:]
        self.assertEqual(reloading["RELOADING"], "1")
        self.assertTrue(before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000, reloading)
        self.assertEqual(ready, {"READY": "1", "STATUS": "configuration reloaded"})
        # A service that stays in `reloading` is stopped by systemd, so a refused reload ends with READY, too.
        proxy.config_path.write_text("[server]\ncolour = 1\n")
        proxy.daemon.send(signal.SIGHUP)
        until(lambda: len(notified.messages) == 5, lambda: notified.messages)
        self.assertEqual(notified.messages[4]["READY"], "1")
        self.assertIn("reload refused", notified.messages[4]["STATUS"])
        self.assertEqual(proxy.stop(), 0)
        until(lambda: notified.having("STOPPING"), lambda: notified.messages)
        # More time than TimeoutStopSec= is asked for at once.
        self.assertIn("EXTEND_TIMEOUT_USEC", notified.having("STOPPING")[0])

    def test_a_drain_asks_for_more_time_and_tells_how_many_are_left(self):
        proxy, notified = self.started("notify-drain", 95, "@pointsman-lab-drain-" + self.lab.dir.name)
        for _ in range(20):
            self.assert_ok(self.dial(proxy=proxy).login(ALICE, ACCOUNTS[ALICE]))
        proxy.daemon.send(signal.SIGTERM)
        asked = until(lambda: len(notified.having("EXTEND_TIMEOUT_USEC")) >= 4 and notified.having("EXTEND_TIMEOUT_USEC"),
                      lambda: notified.messages)
        left = [int(message["STATUS"].removeprefix("draining, sessions left: ")) for message in asked]
        self.assertEqual(left, sorted(left, reverse=True))
        self.assertTrue(20 >= left[0] > left[-1] > 0, left)

    def test_the_watchdog_is_fed_and_starves_with_the_runtime(self):
        proxy, notified = self.started("notify-watchdog", 95, "@pointsman-lab-watchdog-" + self.lab.dir.name, WATCHDOG_USEC="400000")
        until(lambda: len(notified.having("WATCHDOG")) >= 5, "the watchdog is not fed")
        self.assertEqual(notified.messages[-1], {"WATCHDOG": "1", "STATUS": "sessions: 0"})
        proxy.daemon.send(signal.SIGSTOP)
        seen = len(notified.messages)
        with self.assertRaises(AssertionError):
            until(lambda: len(notified.messages) > seen + 1, "", limit=1)
        proxy.daemon.send(signal.SIGCONT)
        until(lambda: len(notified.messages) > seen + 1, "the watchdog is not fed after the stop")

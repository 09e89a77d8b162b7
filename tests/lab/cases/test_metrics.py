"""The page of metrics and the shipped alerts, judged by Prometheus' own tool."""

import subprocess
from pathlib import Path

from lab.layout import ACCOUNTS, address

from .base import secret
from .test_admin import TOKEN, Managed

ALERTS = Path(__file__).resolve().parents[3] / "contrib/prometheus/alerts.yml"
ALICE = address("alice")


def promtool(*arguments, page=None):
    return subprocess.run(["promtool", *arguments], input=page, capture_output=True, text=True, timeout=60)


class Prometheus(Managed):
    def page(self):
        return self.shell(f'curl -sf -H "Authorization: Bearer {TOKEN}" {self.url}/metrics')

    def test_the_tool_has_nothing_to_say(self):
        self.start(95)
        quiet = self.page()
        session = self.log_in()
        self.assert_no(self.dial(proxy=self.managed).login(ALICE, secret("not-alices-for-the-metrics")))
        session.ok("SELECT INBOX")
        session.logout()
        self.managed.map(ALICE, "down")
        self.shell(f'api -X POST {self.url}/mappings/reload')
        self.assert_no(self.dial(proxy=self.managed).login(ALICE, ACCOUNTS[ALICE]))
        busy = self.page()
        for page in (quiet, busy):
            judged = promtool("check", "metrics", page=page)
            self.assertEqual((judged.returncode, judged.stdout + judged.stderr), (0, ""))
        for result in ("accepted", "rejected", "unavailable"):
            self.assertIn(f'result="{result}"}} 1\n', busy)
        self.assertNotIn("alice", busy, "accounts are no labels")

    def test_the_alerts(self):
        judged = promtool("check", "rules", ALERTS)
        self.assertEqual(judged.returncode, 0, judged.stdout + judged.stderr)

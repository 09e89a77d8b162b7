"""The management API against its own description: Schemathesis makes requests of all kinds and judges the answers."""

import os
import subprocess
import sys

from lab.waiting import until

from .test_admin import TOKEN, Managed, managed

VERSION = "schemathesis==4.32.5"
SECONDS = 8
# No schema tells which destinations are declared, which lines an import takes, or that a kick needs one of three.
NOT_HELD = "positive_data_acceptance"


def never_locked(document):
    """Wrong tokens are the tool's way to ask whether a token is needed at all."""
    managed(document)
    document["admin"]["lockout_threshold"] = 1_000_000


class Described(Managed):
    def test_answers_are_as_described(self):
        self.start(67, never_locked)
        python = self.managed.dir / "python"
        made = subprocess.run([sys.executable, "-m", "venv", python], capture_output=True, text=True)
        got = made.returncode == 0 and subprocess.run([python / "bin/pip", "install", "-q", VERSION], capture_output=True, text=True)
        if not got or got.returncode != 0:
            self.skipTest(f"{VERSION} cannot be installed here: {(got or made).stderr[-200:]}")
        environment = os.environ | {"REQUESTS_CA_BUNDLE": str(self.managed.authority.pem)}
        command = [python / "bin/schemathesis", "run", f"{self.url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}",
                   "--exclude-path", "/events", "--max-time", str(SECONDS), "--seed", "1",
                   "--phases", "examples,coverage,fuzzing", "--checks", "all", "--exclude-checks", NOT_HELD, "--no-color"]
        done = subprocess.run(command, env=environment, cwd=self.managed.dir, timeout=120, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        until(lambda: self.call("GET", "/stats")[0] == 200, "it does not answer afterwards")

"""Servers in the foreground, which end when we do, whatever ends us."""

import contextlib
import os
import signal
import subprocess

# Daemons live in sbin, which is often not in PATH.
PATH = os.pathsep.join(dict.fromkeys(
    [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/sbin", "/usr/bin", "/bin"]))
os.environ["PATH"] = PATH

# A server that does not go by itself is killed after this many seconds.
PATIENCE = 8


class Daemon:
    """A process, and a shell that ends it should we be killed: it reads from a pipe that only we hold open.

    The kernel's death signal would not do: Postfix's master changes its effective user, which clears it.
    """

    def __init__(self, *command, out, env=None, end_signal=signal.SIGTERM):
        self.end_signal = end_signal
        self.command = [str(part) for part in command]
        apart = {"stdout": out, "stderr": out, "start_new_session": True}
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, env=env, **apart)
        watch = f"read _; kill -{int(end_signal)} {self.process.pid}"
        self.watch = subprocess.Popen(["sh", "-c", watch], stdin=subprocess.PIPE, **apart)

    @property
    def pid(self):
        return self.process.pid

    def has_ended(self):
        return self.process.poll() is not None

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=None):
        """Sends `number`, or else the signal that ends it, and returns its exit status."""
        self.watch.kill()
        self.watch.wait()
        self.watch.stdin.close()
        if not self.has_ended():
            self.process.send_signal(number or self.end_signal)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


def run(*command, check=True, **named):
    """Runs a tool to its end and returns it with its output as text; says what it said when it fails."""
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, **named)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(done.args)}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done

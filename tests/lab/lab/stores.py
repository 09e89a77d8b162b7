"""The servers that may hold mappings: Redis, PostgreSQL, MariaDB, each on an address of its own, and files for SQLite.

Each can be stopped and started again with what it holds, and takes a change as an administrator would make it by hand.
"""

import glob
import os
import pwd
import shutil
import sqlite3
import subprocess

from .process import Daemon
from .waiting import answers, until

TABLE = "CREATE TABLE routes (identifier VARCHAR(320) PRIMARY KEY, destination VARCHAR(255) NOT NULL)"
# Found, and yet nothing that any account could be called is part of a statement.
SELECT = "SELECT destination FROM routes WHERE identifier = "


class Server:
    """A server in a folder. `mapping()` is what a proxy's configuration says of it."""

    port = 0

    def __init__(self, lab, host_number):
        self.host, self.dir, self.daemon = lab.block.host(host_number), lab.dir / f"store-{self.name}", None
        self.dir.mkdir()
        self.prepare()
        self.start()

    def prepare(self):
        pass

    def start(self):
        with open(self.dir / "log", "ab") as out:
            self.daemon = Daemon(*self.command(), out=out)
        until(lambda: answers(self.host, self.port), f"{self.name} does not answer", limit=30)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def run(self, *command, words=None):
        done = subprocess.run([str(word) for word in command], input=words, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class Redis(Server):
    name, port, has_channel = "redis", 16379, True

    def command(self):
        return ["redis-server", "--bind", self.host, "--port", self.port, "--dir", self.dir, "--save", "3600 1", "--requirepass", "redis-secret"]

    def cli(self, *words):
        return self.run("redis-cli", "-h", self.host, "-p", self.port, "--no-auth-warning", "-a", "redis-secret", *words)

    def set(self, account, destination):
        self.cli("SET", f"route:{account}", destination)

    def remove(self, account):
        self.cli("DEL", f"route:{account}")

    def get(self, account):
        return self.cli("GET", f"route:{account}").strip() or None

    def mapping(self):
        return {"source": "redis", "redis": {"url": f"redis://:redis-secret@{self.host}:{self.port}/0", "pool_size": 2}}


class Sql(Server):
    marks = ("?", "?")

    def set(self, account, destination):
        self.remove(account)
        self.sql(f"INSERT INTO routes VALUES ({quoted(account)}, {quoted(destination)})")

    def remove(self, account):
        self.sql(f"DELETE FROM routes WHERE identifier = {quoted(account)}")

    def get(self, account):
        return self.sql(f"{SELECT}{quoted(account)}").strip() or None

    def mapping(self):
        first, second = self.marks
        return {"source": "sql", "sql": {
            "url": self.url(), "query": SELECT + first, "upsert_query": self.upsert.format(first, second),
            "delete_query": f"DELETE FROM routes WHERE identifier = {first}",
            "list_query": "SELECT identifier, destination FROM routes ORDER BY identifier", "pool_size": 2}}


class PostgreSql(Sql):
    name, port, has_channel, marks = "postgresql", 15432, True, ("$1", "$2")
    upsert = "INSERT INTO routes VALUES ({}, {}) ON CONFLICT (identifier) DO UPDATE SET destination = EXCLUDED.destination"

    def prepare(self):
        self.binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.as_user = own(self.dir, "postgres")
        # Its folder has to be reachable by its own user.
        (self.dir / "password").write_text("postgres-secret\n")
        os.chmod(self.dir / "password", 0o644)
        self.run(*self.as_user, f"{self.binaries}/initdb", "-D", self.dir / "data", "-U", "lab", "--auth=scram-sha-256",
                 f"--pwfile={self.dir / 'password'}", "--encoding=UTF8", "--locale=C", "--no-sync")

    def start(self):
        super().start()
        until(self.is_ready, "PostgreSQL takes no commands", limit=30)

    def is_ready(self):
        try:
            self.sql(TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))
            return True
        except AssertionError:
            return False

    def command(self):
        return [*self.as_user, f"{self.binaries}/postgres", "-D", self.dir / "data", "-h", self.host, "-p", str(self.port),
                "-k", self.dir, "-c", "fsync=off", "-c", "shared_buffers=16MB"]

    def sql(self, words):
        return self.run("psql", self.url(), "-v", "ON_ERROR_STOP=1", "-qtA", "-c", words)

    def url(self):
        return f"postgres://lab:postgres-secret@{self.host}:{self.port}/postgres"


class MariaDb(Sql):
    name, port, has_channel = "mariadb", 13306, False
    upsert = "INSERT INTO routes VALUES ({}, {}) ON DUPLICATE KEY UPDATE destination = VALUES(destination)"

    def prepare(self):
        self.as_user = own(self.dir, "mysql")
        self.run(*self.as_user, "mariadb-install-db", "--no-defaults", f"--datadir={self.dir / 'data'}", "--auth-root-authentication-method=normal",
                 "--skip-test-db")
        # One statement a line. A nameless user of localhost would come before ours.
        (self.dir / "init.sql").write_text("".join(f"{line};\n" for line in (
            "CREATE DATABASE IF NOT EXISTS lab", "DELETE FROM mysql.global_priv WHERE User = ''", "FLUSH PRIVILEGES",
            "CREATE USER IF NOT EXISTS 'lab'@'%' IDENTIFIED BY 'mariadb-secret'", "GRANT ALL ON lab.* TO 'lab'@'%'", "USE lab",
            TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))))
        os.chmod(self.dir / "init.sql", 0o644)

    def command(self):
        return [*self.as_user, "mariadbd", "--no-defaults", f"--datadir={self.dir / 'data'}", f"--socket={self.dir / 'socket'}",
                f"--bind-address={self.host}", f"--port={self.port}", f"--init-file={self.dir / 'init.sql'}", "--innodb-buffer-pool-size=16M",
                "--innodb-flush-log-at-trx-commit=0", f"--pid-file={self.dir / 'pid'}"]

    def sql(self, words):
        return self.run("mariadb", "--no-defaults", "-h", self.host, "-P", self.port, "-u", "lab", "-pmariadb-secret", "-N", "-B", "lab", "-e", words)

    def url(self):
        return f"mysql://lab:mariadb-secret@{self.host}:{self.port}/lab"


class Sqlite(Sql):
    name, has_channel, marks = "sqlite", False, ("?1", "?2")
    upsert = "INSERT INTO routes VALUES ({}, {}) ON CONFLICT (identifier) DO UPDATE SET destination = excluded.destination"

    def start(self):
        if not (self.dir / "routes.db").exists():
            self.sql(TABLE)

    def stop(self):
        pass

    def sql(self, words):
        with sqlite3.connect(self.dir / "routes.db", timeout=20) as database:
            return "\n".join(str(row[0]) for row in database.execute(words))

    def url(self):
        return f"sqlite:{self.dir / 'routes.db'}"


def own(folder, user):
    """Gives the folder to the user that a server insists on being; what to run it with."""
    if os.geteuid() != 0:
        return []
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    os.chmod(folder, 0o755)
    # Those above must let it through.
    for above in folder.parents:
        if str(above) in ("/", "/tmp"):
            break
        os.chmod(above, os.stat(above).st_mode | 0o011)
    return [shutil.which("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"

"""An account moves: somebody edits the mapping file, and the same client finds itself on the other server."""

import re

from lab.configuration import NEW, OLD
from lab.layout import ACCOUNTS, address, leg_name
from lab.waiting import until

from .base import Case

MOVER = address("mover")


class Edits(Case):
    def where(self):
        """On which side the account is, as a login sees it."""
        talk = self.dial()
        self.assert_ok(talk.login(MOVER, ACCOUNTS[MOVER]))
        subject = talk.subjects()[0]
        talk.logout()
        return subject.removeprefix("I am ")

    def move(self, destination):
        self.proxy.map(MOVER, destination)
        self.addCleanup(self.proxy.map, MOVER, OLD)
        side = destination.split("-")[0]
        until(lambda: self.where() == side, f"the mapping file says {side}, and logins do not go there")

    def test_there_and_back(self):
        self.move(OLD)
        self.move(NEW)
        self.move(OLD)

    def test_to_another_way_to_the_same_server(self):
        self.move(OLD)
        self.move(leg_name("new", "starttls", "xclient"))

    def test_a_session_stays_where_it_is(self):
        self.move(OLD)
        talk = self.dial()
        self.assert_ok(talk.login(MOVER, ACCOUNTS[MOVER]))
        self.move(NEW)
        self.assert_at(talk, "old")

    def test_a_file_written_in_place(self):
        self.move(OLD)
        self.proxy.table[MOVER] = NEW
        lines = "".join(f"{account} {name}\n" for account, name in self.proxy.table.items())
        self.addCleanup(self.proxy.map, MOVER, OLD)
        self.proxy.mapping_path.write_text(lines)
        until(lambda: self.where() == "new", "an edit in place is not picked up")

    def test_a_bad_edit_changes_nothing(self):
        self.move(OLD)
        good = "".join(f"{account} {name}\n" for account, name in self.proxy.table.items())
        for bad in ("someone@example.org nowhere-17\n", "onlyonefield-18\n", "three fields are-19 many\n"):
            with self.subTest(bad):
                moved = good.replace(f"{MOVER} {OLD}\n", f"{MOVER} {NEW}\n")
                lines = moved.count("\n") + 2  # the comment that the file begins with, and the bad line itself
                begin = len(self.proxy.log())
                self.addCleanup(self.proxy.write_mapping)
                self.proxy.write_mapping_text(moved + bad)
                until(lambda: re.search(rf"(line |:){lines}\b", self.warnings(begin)), "the bad line's number is not in the log")
                self.assertEqual(self.where(), "old")

    def warnings(self, begin):
        return "\n".join(line for line in self.proxy.log()[begin:].splitlines() if "WARN" in line or "ERROR" in line)

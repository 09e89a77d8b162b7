"""The dashboard in Chromium: a person signs in, watches, and moves an account; with real sessions at real servers."""

import os
import re

from clients.page import Page
from lab.configuration import NEW, OLD
from lab.layout import ACCOUNTS, address
from lab.waiting import until
from lab.web import browser

from .test_admin import TOKEN, Managed, managed

ALICE = address("alice")
HOSTILE = "<img src=x onerror=fail()>@example.org"


def lenient(document):
    managed(document)
    document["admin"]["lockout_threshold"] = 3


class Dashboard(Managed):
    def setUp(self):
        super().setUp()
        if not browser.is_possible():
            self.skipTest("there is no Chromium: tests/lab/install.sh installs it")

    def open(self, host_number, change=lenient):
        self.start(host_number, change)
        window = browser.Browser(self.lab.dir, f"{self.url}/")
        self.addCleanup(window.stop)
        page = Page(window)
        self.addCleanup(page.close)
        page.wait_for("#sign-in", "Token")
        return page

    def sign_in(self, page, token=TOKEN):
        page.type("#name", "jane")
        page.type("#token", token)
        page.press("#sign-in button")

    def answer(self, page, word):
        """To the question that is asked before something that people would notice."""
        page.wait_for("#question", r"\w")
        page.press(f"#confirm button[value={word}]")
        until(lambda: not page.run("document.getElementById('confirm').open"), "the question is still asked")

    def test_a_move_by_hand(self):
        page = self.open(90)
        session, staying = self.log_in(), self.log_in("carol")
        self.sign_in(page)
        page.wait_for("#state", "all is well")
        page.wait_for("#sessions", re.escape(ALICE))
        page.wait_for("#destinations", rf"{OLD} \(default\)\s+2\s+\d+\s+up \(imap\)")
        page.press_labelled("#sessions", ALICE)
        page.wait_for("#whereabouts", f"{re.escape(ALICE)} is at {OLD}")
        page.run(f"document.getElementById('destination').value = '{NEW}'")
        page.press("#assign button")
        self.answer(page, "no")
        self.assertEqual(self.call("GET", f"/mappings?identifier={ALICE}")[1]["destination"], OLD)
        page.press("#assign button")
        self.answer(page, "yes")
        page.wait_for("#outcome", f"Now at {NEW}, before at {OLD}. 1 session ended, 0 logins")
        page.wait_for("#whereabouts", f"is at {NEW}")
        self.assertIn("BYE", session.line())
        self.assert_at(self.log_in(), "new")
        self.assert_at(staying, "old")
        page.wait_for("#audit", r"jane \(token\).*mapping\.set")
        if path := os.environ.get("POINTSMAN_LAB_PICTURE"):
            page.picture(path)
        page.type("#seconds", "7")
        page.press("#hold button")
        page.wait_for("#outcome", "at most 7 seconds")
        page.type("#seconds", "0")
        page.press("#hold button")
        page.wait_for("#outcome", "no longer wait")
        page.press("#forget")
        self.answer(page, "yes")
        page.wait_for("#outcome", "Removed")
        acts = [record["act"] for record in self.call("GET", "/audit")[1]["records"]]
        self.assertEqual(acts, ["mapping.remove", "connections.delay", "connections.delay", "connections.kick", "mapping.set"])
        self.assertEqual(page.complaints(), [])

    def test_a_move_and_its_way_back(self):
        page = self.open(98, lambda document: (lenient(document), document.setdefault("moves", {}).update(sync="test $ACCOUNT")))
        session, bystander = self.log_in(), self.log_in("carol")
        self.sign_in(page)
        page.wait_for("#state", "all is well")
        page.wait_for("#moves", "None")
        page.type("#move-accounts", ALICE)
        page.run(f"document.getElementById('move-destination').value = '{NEW}'")
        page.press("#move button")
        self.answer(page, "yes")
        self.assertIn("BYE", session.line())
        page.wait_for("#moves", rf"1\s+{re.escape(ALICE)}\s+{OLD} → {NEW}\s+done")
        self.assert_at(self.log_in(), "new")
        self.assert_at(bystander, "old")
        if path := os.environ.get("POINTSMAN_LAB_MOVES_PICTURE"):
            page.picture(path)
        page.press_labelled("#moves", "Roll back")
        self.answer(page, "yes")
        page.wait_for("#moves", rf"2\s+{re.escape(ALICE)}\s+{NEW} → {OLD}\s+done")
        self.assert_at(self.log_in(), "old")
        acts = [record["act"] for record in self.call("GET", "/audit")[1]["records"]]
        self.assertEqual(acts, ["moves.rollback", "moves.start"])
        self.assertEqual(page.complaints(), [])

    def test_an_act_ends_with_the_account_that_it_began_with(self):
        page = self.open(97)
        session, bystander = self.log_in(), self.log_in("carol")
        self.sign_in(page)
        page.wait_for("#state", "all is well")
        page.type("#account", ALICE)
        page.press("#look-up button")
        page.wait_for("#whereabouts", f"is at {OLD}")
        # The answer to the first half of the act comes when another account is shown already.
        page.run("""const send = window.fetch;
            window.held = new Promise(release => { window.release = release; });
            window.fetch = async (target, options) => {
                const answer = await send(target, options);
                if (options.method === "PUT") await window.held;
                return answer;
            }; 0""")
        page.run(f"document.getElementById('destination').value = '{NEW}'")
        page.press("#assign button")
        self.answer(page, "yes")
        page.type("#account", address("carol"))
        page.press("#look-up button")
        page.wait_for("#whereabouts", f"{re.escape(address('carol'))} is at {OLD}")
        page.run("window.release()")
        page.wait_for("#outcome", f"{re.escape(ALICE)}: Now at {NEW}, before at {OLD}. 1 session ended")
        self.assertIn("BYE", session.line())
        self.assert_at(bystander, "old")
        self.assertIn(address("carol"), page.text("#whereabouts"))

    def test_what_a_stranger_chose_is_text(self):
        page = self.open(91)
        self.sign_in(page)
        page.wait_for("#state", "all is well")
        # A prefix that is no markup would not show that markup is text; an audit record keeps what was asked for.
        self.call("PUT", f"/mappings?identifier={ALICE}&destination={NEW}", "-H", f"From: {HOSTILE}")
        page.wait_for("#audit", re.escape(HOSTILE))
        self.assertEqual(page.run("document.querySelectorAll('#audit img').length"), 0)
        refused = page.run("try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }")
        self.assertEqual(refused, "TypeError", "its policy lets no text become markup")

    def test_signing_in_and_out(self):
        page = self.open(92)
        self.sign_in(page, "wrong")
        page.wait_for("#sign-in-error", "wrong token")
        self.sign_in(page, "not ascii ä")
        page.wait_for("#sign-in-error", "ASCII")
        self.sign_in(page)
        page.wait_for("#state", "all is well")
        kept = page.run("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, document.documentElement.outerHTML])")
        self.assertNotIn(TOKEN, kept)
        self.assertEqual(page.run("document.getElementById('token').value"), "")
        page.press("#sign-out")
        page.wait_for("#sign-in", "Token")
        self.assertEqual(page.text("#signed-in"), "")
        self.assertEqual(page.run("document.getElementById('sessions').childElementCount"), 0)
        for _ in range(3):
            self.sign_in(page, "wrong")
            page.wait_for("#sign-in-error", "wrong token|locked")
            page.run("document.getElementById('sign-in-error').textContent = ''")
        self.sign_in(page)
        page.wait_for("#sign-in-error", "locked for")

    def test_an_error_is_shown_and_goes_away(self):
        page = self.open(93)
        self.sign_in(page)
        page.wait_for("#state", "all is well")
        self.managed.stop()
        page.wait_for("#error", "does not answer", limit=40)
        self.managed.start()
        until(lambda: page.text("#error") == "", "the error stays", limit=40)
        # A destination that goes down is seen without anybody asking.
        self.managed.map(ALICE, "down")
        until(lambda: self.call("GET", f"/mappings?identifier={ALICE}")[1]["destination"] == "down", "the edit is not seen")
        for _ in range(8):
            talk = self.dial(proxy=self.managed)
            self.assert_no(talk.login(ALICE, ACCOUNTS[ALICE]))
        page.wait_for("#destinations", "imap (down|failing): refused")

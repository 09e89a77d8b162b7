"""Whose connection it is: the identifier that decides on the server, for every form of a login name."""

from clients import sasl
from lab import tokens
from lab.configuration import NEW, mapping
from lab.layout import ACCOUNTS, MASTER, MASTER_PASSWORD, address

from .base import Case, secret

ALICE, BOB, CAROL = address("alice"), address("bob"), address("carol")
MASTER_SECRET = MASTER_PASSWORD.encode()


class Names(Case):
    def test_a_master_user_opens_the_mailbox_where_it_is(self):
        for account, side in ((ALICE, "old"), (BOB, "new")):
            for way in ("the LOGIN command", "PLAIN"):
                with self.subTest(account, way=way):
                    talk, user = self.dial(), f"{account}*{MASTER}"
                    done = talk.login(user, MASTER_SECRET) if way != "PLAIN" else \
                        talk.authenticate(sasl.plain(user, MASTER_SECRET))
                    self.assert_ok(done)
                    self.assert_at(talk, side)

    def test_an_authzid_that_differs_decides(self):
        for account, side in ((ALICE, "old"), (BOB, "new")):
            talk = self.dial()
            self.assert_ok(talk.authenticate(sasl.plain(MASTER, MASTER_SECRET, authzid=account)))
            self.assert_at(talk, side)

    def test_an_authzid_that_is_the_same(self):
        talk = self.dial()
        self.assert_ok(talk.authenticate(sasl.plain(BOB, ACCOUNTS[BOB], authzid=BOB)))
        self.assert_at(talk, "new")

    def test_the_login_is_forwarded_unchanged(self):
        # `%` is a separator of ours and none of Dovecot's, which sees (and refuses) the whole of it.
        talk, user = self.dial(), f"{BOB}%{MASTER}"
        self.assert_no(talk.login(user, MASTER_SECRET))
        self.new.logs.wait(client=talk.source, user=user)

    def test_capitals_are_folded_for_the_mapping_alone(self):
        for user in ("BOB@EXAMPLE.ORG", "Bob@Example.Org", f"BOB@EXAMPLE.ORG*{MASTER}"):
            with self.subTest(user):
                talk = self.dial()
                self.assert_ok(talk.login(user, MASTER_SECRET if "*" in user else ACCOUNTS[BOB]))
                self.assert_at(talk, "new")

    def test_capitals_are_not_folded_unless_asked(self):
        def change(document):
            del document["mapping"]["normalize"]
        proxy = self.extra_proxy("exact", 21, change)
        for user, side in ((BOB, "new"), ("BOB@example.org", "old")):
            talk = self.dial(proxy=proxy)
            self.assert_ok(talk.login(user, ACCOUNTS[BOB]))
            self.assert_at(talk, side)

    def test_unknown_accounts_go_to_the_default(self):
        talk = self.dial()
        self.assert_ok(talk.login(CAROL, ACCOUNTS[CAROL]))
        self.assert_at(talk, "old")
        talk = self.dial()
        self.assert_no(talk.login(address("nobody"), secret("nobodys-password")))
        self.old.logs.wait(client=talk.source, user=address("nobody"))

    def test_names_that_are_none_reach_no_backend(self):
        marks = {side: side.logs.mark() for side in self.lab.sides.values()}
        for user in ("", " ", " two words", 'quo"te', "tab\there", "bell\x07", "a" * 321, f"*{MASTER}", f"{ALICE}\x7f"):
            talk = self.dial()
            with self.subTest(user):
                self.assert_no(talk.login(user, secret("password-of-no-name")))
                self.assert_no(talk.authenticate(sasl.plain(user, secret("password-of-no-name"))))
                for side, since in marks.items():
                    self.assert_unseen(side, since, client=talk.source)
                self.assert_at_prompt(talk)

    def test_a_name_that_is_not_utf8(self):
        talk = self.dial()
        mechanism = sasl.Steps("PLAIN", b"\0al\xffice@example.org\0" + secret("password-of-no-name"))
        self.assert_no(talk.authenticate(mechanism))
        self.assert_at_prompt(talk)

    def test_a_plain_response_has_two_nuls(self):
        talk = self.dial()
        for response in (b"", b"\0", b"alice\0secret", b"\0" + ALICE.encode() + b"\0pass\0word"):
            with self.subTest(response):
                self.assertRegex(talk.authenticate(sasl.Steps("PLAIN", response)), r"^(NO|BAD)\b")
                talk.close()
                talk = self.dial()


    def test_a_name_with_spaces_is_tried_at_its_server(self):
        name = "Jane Doe/Sales/Example"
        wrong = secret("janes-password")
        mapped = self.extra_proxy("spaces", 21, table=mapping() | {f'"{name}"': NEW})
        for proxy, side in ((self.proxy, self.old), (mapped, self.new)):
            for way in ("the LOGIN command", "PLAIN"):
                with self.subTest(way, side=side.name):
                    talk = self.dial(proxy=proxy)
                    # Dovecot does not allow the name: what counts is that it was tried, on that side.
                    self.assert_no(talk.authenticate(sasl.plain(name, wrong)) if way == "PLAIN" else talk.login(name, wrong))
                    side.logs.wait(client=talk.source)

    def test_a_domain_separator_leads_to_the_account(self):
        def change(document):
            document["routing"]["master_user_separators"] = ["*"]
            document["destination"][NEW]["login_domain_separator"] = "%"
        talk = self.dial(proxy=self.extra_proxy("separated", 21, change))
        # This Dovecot takes it for another name, but it is the server of bob@example.org that was tried.
        self.assert_no(talk.login(BOB.replace("@", "%"), ACCOUNTS[BOB]))
        self.new.logs.wait(client=talk.source)


class Tokens(Case):
    def test_every_shape_with_a_name_beside_it(self):
        for shape in (tokens.opaque, tokens.footed, tokens.jwt, tokens.long):
            for make in (sasl.xoauth2, sasl.oauthbearer):
                with self.subTest(shape.__name__, mechanism=make.__name__):
                    talk = self.dial()
                    self.assert_ok(talk.authenticate(make(BOB, shape(BOB))))
                    self.assert_at(talk, "new")

    def test_the_token_names_the_account_where_nothing_else_does(self):
        for shape in (tokens.footed, tokens.jwt):
            with self.subTest(shape.__name__):
                talk = self.dial()
                # Dovecot 2.3 refuses a response without a name: what counts is that it was asked, on that side.
                self.assert_no(talk.authenticate(sasl.oauthbearer("", shape(BOB))))
                self.new.logs.wait(client=talk.source)

    def test_without_an_initial_response(self):
        talk = self.dial()
        self.assert_ok(talk.authenticate(sasl.oauthbearer(BOB, tokens.long(BOB)), is_initial=False))
        self.assert_at(talk, "new")

    def test_the_round_of_a_refused_token_is_carried(self):
        for make, answer in ((sasl.xoauth2, ""), (sasl.oauthbearer, "AQ==")):
            talk = self.dial()
            mechanism = make(BOB, tokens.expired(BOB))
            talk.script("""
                C: a AUTHENTICATE $name $response
                S: + ...
                C: $answer
                S: a NO ...
                """, name=mechanism.name, response=sasl.encode(mechanism.first), answer=answer)
            self.assert_at_prompt(talk)

    def test_anothers_token_is_refused(self):
        talk = self.dial()
        self.assert_no(talk.authenticate(sasl.oauthbearer(BOB, tokens.opaque(ALICE))))
        self.assert_no(talk.authenticate(sasl.xoauth2(BOB, tokens.opaque(ALICE))))

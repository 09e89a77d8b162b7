"""Paths that are written otherwise: what a backend could read in two ways is refused, and the rest is matched by what it means."""

from .web import Web, login

ALICE = login("alice")  # on old: where she would get by, were a path pinned to new not recognised
MEANS_ADMIN = ["/%61dmin/x", "/adm%69n/x", "//admin/x", "///admin//x", "/./admin/x", "/x/../admin/x", "/x/./../admin/./x", "/admin/./x",
               "/x/%2e%2e/admin/x", "/%2e/admin/x", "/x/.%2e/admin/x", "/admin/x?y=/z", "/admin/%78", "/admin/x/../y", "/x/y/../../admin/x"]
REFUSED = ["/admin%2fx", "/admin%2Fx", "/admin%2f..", "/admin%5cx", "/admin%5Cx", "/admin\\x", "/%00", "/admin/x%00", "/../admin/x",
           "/x/../../admin/x", "/%2e%2e/admin/x", "/%", "/%4", "/%zz/admin", "/admin/%", "/x/..;/admin/x", "/x/..;a=b/admin/x",
           "/.;/admin/x", "/%2e%2e;x/admin/x", "/x/.;y/../admin/x", "/admin//../x", "/;x/admin/x"]
# Not below /admin/ for any reader; a parameter makes it another segment.
ELSEWHERE = ["/admin;x", "/admin;x/y", "/administrator", "/Admin/x", "/x/admin/y", "/%2561dmin/x", "/x;y/z", "/admin%20/x", "/admin%3bx"]
# As they come to the backend, byte by byte.
ORDINARY = ["/dav/Caf%C3%A9/Gr%C3%BC%C3%9Fe%20%26%20mehr.ics", "/dav/a%20b%2Bc", "/dav/a+b", "/dav/%e4%bd%a0", "/dav/x%3Fy", "/dav/~user",
            "/dav/%7Euser", "/x//y///z", "/x/./y", "/x/y/../z", "/a:b@c!$&'()*,;=", "/x?q=%2f..%2f%00%zz", "/x?a=b?c&d[]=1|2", "/x?", "/dav/%2561",
            "/jmap/download/a/b/%E2%82%AC.txt?type=text%2Fplain", "/" + "long/" * 1000]


class Paths(Web):
    def test_another_spelling_is_the_same_path(self):
        for name, client in self.clients():
            for path in MEANS_ADMIN:
                with self.subTest(path, version=name):
                    answer = client.get(path, ALICE)
                    self.assertEqual(self.side_of(answer), "new")
                    self.assertEqual(answer.json()["target"], path)

    def test_what_can_be_read_in_two_ways(self):
        for version in ("HTTP/1.1", "HTTP/2"):
            for path in REFUSED:
                with self.subTest(path, version=version):
                    client = dict(self.clients())[version]
                    self.assertEqual(client.get(path, ALICE).status, 400)
                    self.assertEqual(self.sent_for(client), [])

    def test_what_only_looks_like_it(self):
        for name, client in self.clients():
            for path in ELSEWHERE:
                with self.subTest(path, version=name):
                    answer = client.get(path, ALICE)
                    # To refuse what one reader in a thousand would take for /admin/ is no mistake either; to let it by to the other side is.
                    if answer.status != 400:
                        self.assertEqual(self.side_of(answer), "old")

    def test_ordinary_paths_arrive_as_they_came(self):
        for name, client in self.clients():
            for path in ORDINARY:
                with self.subTest(path[:60], version=name):
                    answer = client.get(path, ALICE)
                    self.assertEqual((self.side_of(answer), answer.json()["target"]), ("old", path))

    def test_other_targets(self):
        client = self.http1()
        answer = client.request("OPTIONS", "*", [ALICE])
        self.assertIn(answer.status, (200, 204, 400, 404))
        self.assertEqual(self.http1().request("CONNECT", "mail.example.org:443", [ALICE]).status // 100, 4)
        absolute = client.request("GET", "https://mail.example.org/admin/x?y", [ALICE])
        self.assertEqual((self.side_of(absolute), absolute.json()["target"]), ("new", "/admin/x?y"))

import unittest

from policy import manifests
from policy.architecture import CrateRow


def row(name, *imports):
    return CrateRow(name, "contents", frozenset(imports))


def package(name, library=None, dependencies=()):
    targets = [{"kind": ["lib"], "name": library}] if library else [{"kind": ["bin"], "name": name}]
    return {"name": name, "targets": targets, "dependencies": list(dependencies)}


class Table(unittest.TestCase):
    def check(self, rows, graph):
        return [f"{problem.where}: {problem.found}" for problem in manifests.check_table(rows, graph)]

    def test_agreement(self):
        self.assertEqual(self.check([row("a"), row("b", "a")], {"a": set(), "b": {"a"}}), [])

    def test_an_import_that_the_table_lacks(self):
        self.assertEqual(self.check([row("a"), row("b")], {"a": set(), "b": {"a"}}), ["crates/b/Cargo.toml: imports a"])

    def test_an_import_that_the_manifest_lacks(self):
        found = self.check([row("a"), row("b", "a")], {"a": set(), "b": set()})
        self.assertEqual(found, ["docs/architecture.md: `b`: the import a, which the manifest does not have"])

    def test_crates_and_rows_without_each_other(self):
        found = self.check([row("a"), row("b")], {"a": set(), "c": set()})
        self.assertEqual(found, ["crates/c: no row in docs/architecture.md", "docs/architecture.md: `b`: a row without a crate"])

    def test_no_table(self):
        self.assertEqual(len(manifests.check_table([], {"a": set()})), 1)


class Names(unittest.TestCase):
    def check(self, crates, dependencies=None):
        return [problem.found for problem in manifests.check_names(crates, dependencies or {})]

    def test_a_hyphen_becomes_an_underscore(self):
        crates = {"mail-proto": package("mail-proto", "mail_proto"), "cli": package("pointsman")}
        self.assertEqual(self.check(crates, {"mail-proto": {"path": "crates/mail-proto"}}), [])

    def test_a_package_with_another_name(self):
        self.assertEqual(self.check({"a": package("pointsman-a", "pointsman_a")}), ["the package is called pointsman-a"])

    def test_a_library_with_another_name(self):
        self.assertEqual(self.check({"a": package("a", "b")}), ["the library is called b"])

    def test_a_rename_in_the_workspace_table(self):
        dependencies = {"a": {"package": "pointsman-a", "path": "crates/a"}, "http_types": {"package": "http", "version": "1"}, "x": "1"}
        self.assertEqual(self.check({}, dependencies), ['package = "pointsman-a"'])

    def test_a_rename_in_a_manifest(self):
        renamed = {"name": "a", "rename": "b", "path": "/a"}
        plain = {"name": "c", "rename": None, "path": "/c"}
        foreign = {"name": "http", "rename": "http_types"}
        found = manifests.check_renames([package("d", "d", [renamed, plain, foreign])], {})
        self.assertEqual([problem.found for problem in found], ["imports a as b"])


class Arrows(unittest.TestCase):
    def test_a_cycle(self):
        found = manifests.check_arrows({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
        self.assertEqual([problem.found for problem in found], ["a, b, c import each other"])

    def test_floors(self):
        graph = {"a": set(), "b": {"a"}}
        self.assertEqual(manifests.check_floors(graph, {"a": 0, "b": 1}), [])
        self.assertEqual(len(manifests.check_floors(graph, {"a": 1, "b": 1})), 1)

    def test_floors_are_read_from_the_picture(self):
        self.assertEqual(manifests.floors_of('<g data-crate="mail-proto" data-floor="12">'), {"mail-proto": 12})

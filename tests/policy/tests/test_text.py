import subprocess
import unittest

from policy import dependencies, text

from .tree import Tree


class Committed(Tree):
    def check(self, line):
        self.write(a=line)
        for command in (("init", "-q"), ("add", "-A")):
            subprocess.run(("git", *command), check=True, cwd=self.root)
        return [problem.where for problem in text.check(self.root)]

    def test_paths_of_a_machine(self):
        for folder in ("work", "root"):
            self.assertEqual(self.check(f'let a = "/{folder}/a";'), ["crates/sample/src/a.rs:1"])

    def test_other_paths(self):
        self.assertEqual(self.check('let a = "a/work/b"; // target/root/x, $HOME/work/x'), [])

    def test_unsafe(self):
        self.assertEqual(self.check("unsafe { a() }"), ["crates/sample/src/a.rs:1"])
        self.assertEqual(self.check("#![deny(unsafe_code)]"), [])


class Licences(unittest.TestCase):
    def test_a_choice(self):
        for expression in ("MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception"):
            self.assertTrue(dependencies.allowed(expression), expression)
        for expression in ("GPL-3.0", "MIT AND GPL-3.0", "AGPL-3.0-only", "none"):
            self.assertFalse(dependencies.allowed(expression), expression)

    def test_a_banned_crate(self):
        (problem,) = dependencies.check({("ring", "MIT"), ("serde", "MIT")})
        self.assertEqual(problem.where, "package ring")

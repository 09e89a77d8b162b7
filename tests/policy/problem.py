"""What a check returns for each breach of a rule."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One breach: where it is, what was found, what the rule expects, how to fix it."""

    where: str
    found: str
    expected: str
    fix: str

    def __str__(self):
        return f"{self.where}: {self.found}\n    expected: {self.expected}\n    fix: {self.fix}"

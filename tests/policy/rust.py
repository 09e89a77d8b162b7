"""Reads Rust source as tokens, so that strings, comments and tests cannot mislead a check.

This is not a parser of Rust. It knows where comments and literals end, which bracket closes which, and what
`#[cfg(test)]` covers; the checks need no more than that.
"""

import re
from dataclasses import dataclass, field
from functools import cache

TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>(?:b|c)?r(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>(?:b|c)?"(?:\\.|[^"\\])*")
  | (?P<char>b?'(?:\\(?:u\{[^}]*\}|x[0-9a-fA-F]{2}|.)|[^\\'\n])')
  | (?P<lifetime>'[A-Za-z_]\w*)
  | (?P<ident>(?:r\#)?[^\W\d]\w*)
  | (?P<number>\d\w*(?:\.\d\w*)?)
  | (?P<punct>::|->|=>|==|!=|<=|>=|&&|\|\||\.\.=|\.\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = set(OPENING.values())

# Items that end at the first block or semicolon, and those that end at their semicolon whatever blocks they contain.
ENDS_AT_BLOCK = {"fn", "mod", "struct", "enum", "union", "trait", "impl", "macro_rules", "extern"}
ENDS_AT_SEMICOLON = {"use", "const", "static", "type", "let"}
MODIFIERS = {"pub", "async", "unsafe", "default"}


@dataclass(frozen=True)
class Token:
    """One token; `kind` is ident, lifetime, literal or punct."""

    kind: str
    text: str
    line: int


@dataclass
class Source:
    """A file as tokens. After `without_tests` only production tokens are left."""

    tokens: list
    comments: dict  # line -> text of the line comment that ends the line
    line_count: int
    closing: dict = field(default_factory=dict)  # index of an opening bracket -> index of the one that closes it
    test_lines: set = field(default_factory=set)

    def __post_init__(self):
        self.closing = match_brackets(self.tokens)

    def text(self, index):
        """Returns the text of the token at `index`, or nothing where there is none."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def skip_group(self, index):
        """Returns the index after the token or the bracketed group at `index`."""
        return self.closing.get(index, index) + 1


def read(text):
    """Returns the whole of `text` as tokens, tests included."""
    tokens, comments, line, position = [], {}, 1, 0
    while position < len(text):
        match = TOKEN.match(text, position)
        kind, value = match.lastgroup, match[0]
        if kind == "hashes":
            kind = "raw"
        end = match.end()
        if kind == "block":
            end = end_of_block_comment(text, position)
            value = text[position:end]
        elif kind == "comment":
            comments[line] = value
        elif kind in ("raw", "string", "char", "number"):
            tokens.append(Token("literal", value, line))
        elif kind != "space":
            tokens.append(Token(kind, value.removeprefix("r#"), line))
        line += value.count("\n")
        position = end
    return Source(tokens, comments, len(text.rstrip().splitlines()))


def end_of_block_comment(text, start):
    """Returns where the block comment at `start` ends; block comments nest."""
    depth, position = 0, start
    for match in re.finditer(r"/\*|\*/", text[start:]):
        depth += 1 if match[0] == "/*" else -1
        position = start + match.end()
        if depth == 0:
            return position
    return len(text)


def match_brackets(tokens):
    """Returns index -> index for each bracket that is closed."""
    closing, open_brackets = {}, []
    for index, token in enumerate(tokens):
        if token.kind != "punct":
            continue
        if token.text in OPENING:
            open_brackets.append(index)
        elif token.text in CLOSING and open_brackets:
            closing[open_brackets.pop()] = index
    return closing


def is_attribute(source, index):
    """Says whether an outer or inner attribute starts at `index`."""
    if source.text(index) != "#":
        return False
    return source.text(index + 1) == "[" or (source.text(index + 1) == "!" and source.text(index + 2) == "[")


def end_of_attribute(source, index):
    """Returns the index after the attribute at `index`."""
    bracket = index + 1 if source.text(index + 1) == "[" else index + 2
    return source.skip_group(bracket)


def is_test_only(source, index):
    """Says whether the attribute at `index` keeps what follows out of every build without tests.

    `cfg(test)` and `cfg(all(…, test, …))` do; `any` and `not` do not.
    """
    words = [token.text for token in source.tokens[index:end_of_attribute(source, index)]]
    words = [word for word in words if word not in "#![]"]
    if words[:3] == ["cfg", "(", "test"]:
        return words[3:] == [")"]
    if words[:4] == ["cfg", "(", "all", "("]:
        return "test" in words and not {"any", "not"} & set(words)
    return False


def end_of_item(source, index):
    """Returns the index after the item, statement, field or arm that starts at `index` (attributes included)."""
    while is_attribute(source, index):
        index = end_of_attribute(source, index)
    keyword = item_keyword(source, index)
    while index < len(source.tokens):
        text = source.text(index)
        if text in CLOSING and source.tokens[index].kind == "punct":
            return index
        if text == ";" or (text == "," and keyword is None):
            return index + 1
        if text == "{" and keyword not in ENDS_AT_SEMICOLON:
            end = source.skip_group(index)
            return end + 1 if keyword is None and source.text(end) == "," else end
        index = source.skip_group(index)
    return index


def item_keyword(source, index):
    """Returns the keyword of the item at `index`, which stands after its attributes; None where there is no item."""
    while True:
        text = source.text(index)
        if text == "pub" and source.text(index + 1) == "(":
            index = source.skip_group(index + 1)
        elif text in MODIFIERS:
            index += 1
        elif text == "extern" and source.tokens[index + 1].kind == "literal" and source.text(index + 2) == "fn":
            index += 2
        elif text == "const" and source.text(index + 1) in ("fn", "unsafe", "async"):
            index += 1
        else:
            return text if text in ENDS_AT_BLOCK | ENDS_AT_SEMICOLON else None


def without_tests(source):
    """Returns `source` without what `#[cfg(test)]` covers; `test_lines` has the lines that were left out."""
    kept, test_lines, index = [], set(), 0
    while index < len(source.tokens):
        if not (is_attribute(source, index) and is_test_only(source, index)):
            kept.append(source.tokens[index])
            index += 1
            continue
        first_line = source.tokens[index].line
        if source.text(index + 1) == "!":
            end = len(source.tokens)  # an inner attribute of the file: all of the rest is for tests
            last_line = source.line_count
        else:
            end = end_of_item(source, index)
            last_line = source.tokens[end - 1].line
        test_lines.update(range(first_line, last_line + 1))
        index = end
    return Source(kept, source.comments, source.line_count, test_lines=test_lines)


@cache
def production(file):
    """Returns the production tokens of `file`; it is read once, however many checks look at it."""
    return without_tests(read(file.read_text()))

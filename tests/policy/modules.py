"""The modules of a crate: which file each is in, what it defines, which names it imports.

Follows `mod x;` from the root as the compiler does (`x.rs` beside `lib.rs`, `x/y.rs` for `mod y;` in `x.rs`), and
leaves out what only tests see: `#[cfg(test)]`, and files and folders called `tests`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from . import rust

DEFINING = {"fn", "struct", "enum", "union", "trait", "const", "static", "type", "macro_rules"}
POINTERS = {"Arc", "Box", "Rc"}


@dataclass(frozen=True)
class Import:
    """One name of a `use`, written out: `use a::{b, c as d}` is two."""

    path: tuple
    name: str  # the name that it brings into scope; "*" for a glob, "_" for a trait without a name
    public: bool
    line: int


@dataclass
class Implementation:
    """An `impl` block: the type as it is written, and the functions in it."""

    type_path: tuple
    functions: dict  # name -> line
    start: int
    end: int


@dataclass
class Function:
    """A function with a body: the types of its parameters, and where the body is."""

    parameters: dict  # name -> path of the type
    start: int
    end: int


@dataclass
class Module:
    """One module. An inline module has the file of the module around it."""

    path: tuple
    file: Path
    source: rust.Source
    start: int = 0
    end: int = 0
    parent: "Module" = None
    children: dict = field(default_factory=dict)
    items: dict = field(default_factory=dict)  # name -> line
    macros: dict = field(default_factory=dict)  # name of a macro_rules -> line
    imports: list = field(default_factory=list)
    implementations: list = field(default_factory=list)
    functions: list = field(default_factory=list)
    fields: dict = field(default_factory=dict)  # name of a struct -> name of a field -> path of the field's type
    variants: dict = field(default_factory=dict)  # index of the token -> name of a variant of an enum
    skipped: list = field(default_factory=list)  # ranges of tokens that are imports or inline modules

    def every(self):
        """Returns this module and all below it."""
        found = [self]
        for child in self.children.values():
            found += child.every()
        return found

    def root(self):
        """Returns the module `crate`."""
        return self.parent.root() if self.parent else self


def roots(crate):
    """Returns the root files of the targets of the crate in the folder `crate`, tests and examples apart."""
    source = crate / "src"
    named = [source / "lib.rs", source / "main.rs", *sorted((source / "bin").glob("*.rs"))]
    return [file for file in named if file.exists()]


def read_crate(crate):
    """Returns the module `crate` of each target."""
    return [read_module((), file, None, file.parent) for file in roots(crate)]


def read_module(path, file, parent, folder):
    """Reads the module in `file`, and those below it, whose files are in `folder`."""
    source = rust.production(file)
    module = Module(path, file, source, 0, len(source.tokens), parent)
    read_items(module, folder)
    return module


def read_items(module, folder):
    """Reads what a module declares between `start` and `end`."""
    source, index = module.source, module.start
    while index < module.end:
        item = skip_attributes_and_modifiers(source, index)
        keyword = source.text(item)
        end = max(rust.end_of_item(source, index), index + 1)
        if keyword == "mod":
            read_child(module, item, folder)
            module.skipped.append((index, end))
        elif keyword == "use":
            read_use(module, index, item)
            module.skipped.append((index, end))
        elif keyword == "impl":
            module.implementations.append(read_implementation(source, item))
            read_bodies(module, item, end)
        elif keyword in DEFINING:
            define(module, item)
            read_bodies(module, item, end)
            if keyword == "struct":
                read_fields(module, item, end)
            elif keyword == "enum":
                read_variants(module, item, end)
        index = end


def skip_attributes_and_modifiers(source, index):
    """Returns the index of the keyword of the item that starts at `index`."""
    while True:
        text, following = source.text(index), source.text(index + 1)
        if rust.is_attribute(source, index):
            index = rust.end_of_attribute(source, index)
        elif text == "pub" and following == "(":
            index = source.skip_group(index + 1)
        elif text in rust.MODIFIERS or (text == "const" and following in ("fn", "unsafe", "async", "extern")):
            index += 1
        elif text == "extern" and source.tokens[index + 1].kind == "literal" and source.text(index + 2) == "fn":
            index += 2
        else:
            return index


def define(module, item):
    """Records the item whose keyword is at `item`."""
    source = module.source
    name = item + 1
    while source.text(name) in ("!", "mut", "fn"):
        name += 1
    token = source.tokens[name]
    names = module.macros if source.text(item) == "macro_rules" else module.items
    names[token.text] = token.line


def read_child(module, item, folder):
    """Reads the module that `mod` at `item` declares."""
    source, name = module.source, module.source.text(item + 1)
    if name == "tests":
        return
    path = (*module.path, name)
    if source.text(item + 2) == "{":
        body = item + 2
        child = Module(path, module.file, source, body + 1, source.closing[body], module)
        read_items(child, folder / name)
    else:
        candidates = [folder / f"{name}.rs", folder / name / "mod.rs"]
        file = next((candidate for candidate in candidates if candidate.exists()), None)
        if file is None:
            raise FileNotFoundError(f"{module.file}: `mod {name};` has no file {candidates[0]}")
        child = read_module(path, file, module, folder / name)
    module.children[name] = child


def read_use(module, start, keyword):
    """Records each name of the `use` whose keyword is at `keyword`."""
    source = module.source
    public = "pub" in (source.text(index) for index in range(start, keyword))
    read_use_tree(module, keyword + 1, (), public)


def read_use_tree(module, index, prefix, public):
    """Reads one branch of a `use`; returns the index after it."""
    source = module.source
    path = prefix
    if source.text(index) == "::":
        path = ("::",)
        index += 1
    while True:
        token = source.tokens[index]
        if token.text == "{":
            branch = index + 1
            while branch < source.closing[index]:
                branch = read_use_tree(module, branch, path, public)
                if source.text(branch) == ",":
                    branch += 1
            return source.closing[index] + 1
        if token.text == "*":
            module.imports.append(Import(path, "*", public, token.line))
            return index + 1
        if not (token.text == "self" and path):
            path = (*path, token.text)
        index += 1
        if source.text(index) == "::":
            index += 1
            continue
        name = path[-1]
        if source.text(index) == "as":
            name = source.text(index + 1)
            index += 2
        module.imports.append(Import(path, name, public, token.line))
        return index


def read_bodies(module, start, end):
    """Records what stands within functions: each `use`, as if it stood at the top of the module, and each function."""
    source = module.source
    for index in range(start, end):
        if source.text(index) == "use" and source.text(index - 1) in ("{", "}", ";", "]"):
            read_use_tree(module, index + 1, (), False)
            stop = index
            while source.text(stop) != ";":
                stop = source.skip_group(stop)
            module.skipped.append((index, stop + 1))
        elif source.text(index) == "fn" and source.tokens[index + 1].kind == "ident":
            read_function(module, index)


def read_function(module, keyword):
    """Records the function whose `fn` is at `keyword`, if it has a body."""
    source = module.source
    opening = skip_generics(source, keyword + 2)
    body = source.skip_group(opening)
    while source.text(body) not in ("{", ";", "}", ""):
        body = source.skip_group(body)
    if source.text(body) == "{":
        parameters = read_typed_names(source, opening + 1, source.closing[opening])
        module.functions.append(Function(parameters, body, source.closing[body]))


def read_fields(module, item, end):
    """Records the types of the fields of the struct whose keyword is at `item`."""
    source, index = module.source, skip_generics(module.source, item + 2)
    while index < end and source.text(index) not in ("{", ";", "("):
        index = source.skip_group(index)
    if source.text(index) == "{":
        module.fields[source.text(item + 1)] = read_typed_names(source, index + 1, source.closing[index])


def read_variants(module, item, end):
    """Records the variants of the enum whose keyword is at `item`."""
    source, index = module.source, skip_generics(module.source, item + 2)
    while index < end and source.text(index) != "{":
        index = source.skip_group(index)
    closing = source.closing.get(index, end)
    index += 1
    while index < closing:
        index = skip_attributes_and_modifiers(source, index)
        module.variants[index] = source.text(index)
        while index < closing and source.text(index) != ",":
            index = source.skip_group(index)
        index += 1


def read_typed_names(source, start, end):
    """Returns name -> path of the type for each `name: Type` of a list; the path is empty where the type has none."""
    found, index = {}, start
    while index < end:
        index = skip_attributes_and_modifiers(source, index)
        while source.text(index) == "mut":
            index += 1
        if source.text(index + 1) == ":":
            found[source.text(index)] = type_path(source, index + 2)
        while index < end and source.text(index) != ",":
            index = skip_generics(source, index) if source.text(index) == "<" else source.skip_group(index)
        index += 1
    return found


def read_implementation(source, item):
    """Reads the header and the names of the functions of the `impl` at `item`."""
    index = skip_generics(source, item + 1)
    body = index
    type_start = index
    while source.text(body) not in ("{", ";", ""):
        if source.text(body) == "for" and source.text(body + 1) != "<":
            type_start = body + 1
        body = body + 1 if source.text(body) == "{" else source.skip_group(body)
    functions = {}
    end = source.closing.get(body, body)
    index = body + 1
    while index < end:
        name = skip_attributes_and_modifiers(source, index)
        if source.text(name) == "fn":
            functions[source.text(name + 1)] = source.tokens[name].line
        index = max(rust.end_of_item(source, index), index + 1)
    return Implementation(type_path(source, type_start), functions, body, end)


def skip_generics(source, index):
    """Returns the index after `<…>` at `index`, or `index` where there are none."""
    if source.text(index) != "<":
        return index
    depth = 0
    while True:
        text = source.text(index)
        if text == "<":
            depth += 1
        elif text == ">":
            depth -= 1
        index = source.skip_group(index)
        if depth == 0:
            return index


def type_path(source, index):
    """Returns the path of the type at `index` without its generics; empty for what is no path, such as a slice.

    References and owning pointers are looked through, as a call of a method does.
    """
    while source.text(index) in ("&", "&&", "mut", "dyn", "!") or source.tokens[index].kind == "lifetime":
        index += 1
    path = ()
    while source.tokens[index].kind == "ident":
        path = (*path, source.text(index))
        if path[-1] in POINTERS and source.text(index + 1) == "<":
            return type_path(source, index + 2)
        index = skip_generics(source, index + 1)
        if source.text(index) != "::":
            break
        index += 1
    return path

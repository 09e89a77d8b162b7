"""No cycle between the files of a crate.

A file needs another when a path in it leads to an item that is defined there; a re-export on the way is followed to
the definition. So `mod x; pub use x::Y;` does not make a parent need its child. A call of a method counts where the
type of the value is written down: `self`, a field of `self`, a parameter. So one type's `impl` blocks in several
files are seen. Calls on other values are not seen; that would take the compiler.
"""

from dataclasses import dataclass

from . import modules
from .problem import Problem
from .repository import ROOT, crate_packages

LONGEST_CHAIN = 32  # of re-exports that lead to each other; longer is a circle
NOT_A_USE = {".", "::", "fn", "struct", "enum", "trait", "type", "mod"}  # before a name that is declared or a part of a path


@dataclass(frozen=True, order=True)
class Use:
    """A place where one file needs another."""

    line: int
    text: str


@dataclass(frozen=True)
class Definition:
    """Where an item is defined."""

    module: modules.Module
    name: str

    @property
    def key(self):
        return (self.module.path, self.name)

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return self.key == other.key


class Graph:
    """The files of one target of a crate and the places where they need each other."""

    def __init__(self, root):
        self.root = root
        self.uses = {}  # (file, file) -> [Use]
        self.functions = {}  # (definition of a type, function) -> files
        for module in root.every():
            self.collect_functions(module)
        for module in root.every():
            self.collect_imports(module)
            self.collect_paths(module)
            self.collect_macros(module)
            self.collect_methods(module)
            self.collect_calls_on_parameters(module)

    # --- resolving -------------------------------------------------------------------------------------------------

    def resolve(self, module, path, depth=0):
        """Follows `path` from `module`: a Module, a Definition and the segments left, or None for another crate."""
        if depth > LONGEST_CHAIN or not path or path[0] == "::":
            return None
        first = path[0]
        if first == "crate":
            return self.descend(self.root, path[1:], depth)
        if first == "self":
            return self.descend(module, path[1:], depth)
        if first == "super":
            here = module
            while path and path[0] == "super":
                if here.parent is None:
                    return None
                here, path = here.parent, path[1:]
            return self.descend(here, path, depth)
        return self.descend(module, path, depth)

    def descend(self, module, path, depth):
        """Follows `path` downwards from `module`."""
        if not path:
            return module, ()
        name, rest = path[0], path[1:]
        if name in module.children:
            return self.descend(module.children[name], rest, depth)
        if name in module.items or name in module.macros:
            return Definition(module, name), rest
        for imported in module.imports:
            if imported.name == name and imported.path != (name,):
                return self.resolve(module, (*imported.path, *rest), depth + 1)
        for imported in module.imports:
            if imported.name == "*":
                found = self.resolve_through_glob(module, imported, path, depth)
                if found:
                    return found
        return None

    def resolve_through_glob(self, module, imported, path, depth):
        """Follows `path` through `use x::*`."""
        if depth > LONGEST_CHAIN:
            return None
        target = self.resolve(module, imported.path, depth + 1)
        if target is None or not isinstance(target[0], modules.Module) or target[0] is module:
            return None
        return self.descend(target[0], path, depth + 1)

    # --- collecting ------------------------------------------------------------------------------------------------

    def add(self, module, target, line, text):
        """Records that the file of `module` needs the file that defines `target`."""
        if target is None:
            return
        found, rest = target
        if isinstance(found, modules.Module):
            return  # a module by itself is a name; what is used of it is resolved where it is used
        self.add_file(module.file, found.module.file, line, text)
        files = self.functions.get((found, rest[0]), set()) if rest else set()
        if len(files) == 1:
            self.add_file(module.file, *files, line, text)

    def add_file(self, user, used, line, text):
        if user != used:
            self.uses.setdefault((user, used), []).append(Use(line, text))

    def collect_functions(self, module):
        """Records in which files the functions of a type are."""
        for implementation in module.implementations:
            type_ = self.resolve_type(module, implementation.type_path)
            if type_ is not None:
                for name in implementation.functions:
                    self.functions.setdefault((type_, name), set()).add(module.file)

    def collect_imports(self, module):
        """A private `use` of an item is a need. A re-export is none until the file uses the name itself."""
        words = used_words(module)
        for imported in module.imports:
            text = "use " + "::".join(imported.path)
            target = self.resolve(module, imported.path)
            if imported.name == "*":
                self.collect_glob(module, imported, target, words)
            elif not imported.public:
                self.add(module, target, imported.line, text)
            elif imported.name in words:
                self.add(module, target, words[imported.name], imported.name)

    def collect_glob(self, module, imported, target, words):
        """What a glob brings in is needed where the file says its name."""
        if target and isinstance(target[0], Definition):
            self.add(module, target, imported.line, "use " + "::".join(imported.path) + "::*")  # variants of an enum
            return
        declared = {*module.items, *module.children, *(other.name for other in module.imports)}
        for word, line in words.items():
            if word not in declared and word not in module.macros:
                self.add(module, self.resolve_through_glob(module, imported, (word,), 0), line, word)

    def collect_paths(self, module):
        for index, path in paths(module):
            line = module.source.tokens[index].line
            self.add(module, self.resolve(module, path), line, "::".join(path))

    def collect_macros(self, module):
        """`name!` of a macro that stands in a module above, which needs no import."""
        source = module.source
        for index in own_tokens(module):
            if source.text(index + 1) != "!" or source.tokens[index].kind != "ident":
                continue
            name, above = source.text(index), module
            while above and name not in above.macros:
                above = above.parent
            if above:
                self.add_file(module.file, above.file, source.tokens[index].line, f"{name}!")

    def collect_methods(self, module):
        """`self.f()`, `self.field.f()` and `Self::f`, where `f` stands in another file than the type."""
        source = module.source
        for implementation in module.implementations:
            type_ = self.resolve_type(module, implementation.type_path)
            if type_ is None:
                continue
            for index in range(implementation.start, implementation.end):
                word, following, name = (source.text(index + offset) for offset in range(3))
                if word == "Self" and following == "::":
                    self.add_method(module, index, type_, name)
                elif word == "self" and following == "." and is_call(source, index + 2):
                    self.add_method(module, index, type_, name)
                elif word == "self" and following == "." and source.text(index + 3) == "." and is_call(source, index + 4):
                    self.add_method(module, index, self.type_of_field(type_, name), source.text(index + 4))

    def collect_calls_on_parameters(self, module):
        """`parameter.f()`, where `f` stands in another file than the type."""
        source = module.source
        for function in module.functions:
            types = {name: self.resolve_type(module, path) for name, path in function.parameters.items()}
            for index in range(function.start, function.end):
                name = source.text(index)
                if name in types and source.text(index - 1) != "." and source.text(index + 1) == "." and is_call(source, index + 2):
                    self.add_method(module, index, types[name], source.text(index + 2))

    def resolve_type(self, module, path):
        """Returns the definition of a type of this crate, or None."""
        target = self.resolve(module, path)
        return target[0] if target and isinstance(target[0], Definition) else None

    def type_of_field(self, type_, name):
        """Returns the definition of the type of a field, or None."""
        path = type_.module.fields.get(type_.name, {}).get(name, ())
        return self.resolve_type(type_.module, path)

    def add_method(self, module, index, type_, name):
        """Records a call of the function `name` of `type_`, where only one file has such a function."""
        files = self.functions.get((type_, name), set())
        if len(files) == 1:
            token = module.source.tokens[index]
            self.add_file(module.file, *files, token.line, f"{type_.name}::{name}")

    # --- cycles ----------------------------------------------------------------------------------------------------

    def neighbours(self):
        """Returns file -> the files that it needs."""
        graph = {module.file: set() for module in self.root.every()}
        for user, used in self.uses:
            graph[user].add(used)
        return graph


def is_call(source, index):
    """Says whether the name at `index` is called."""
    return source.text(index + 1) in ("(", "::")


def own_tokens(module):
    """Yields the indices of a module's tokens: not those of its imports, nor of modules inside of it."""
    skipped = sorted(module.skipped)
    index = module.start
    for start, end in [*skipped, (module.end, module.end)]:
        yield from range(index, min(start, module.end))
        index = max(index, end)


def paths(module):
    """Yields (index, segments) for each path of two or more segments."""
    source = module.source
    for index in own_tokens(module):
        token = source.tokens[index]
        if token.kind != "ident" or source.text(index + 1) != "::" or source.text(index - 1) in (".", "::"):
            continue
        path = [token.text]
        position = index + 1
        while source.text(position) == "::":
            position += 1
            if source.text(position) == "<":
                position = modules.skip_generics(source, position)
            elif source.tokens[position].kind == "ident":
                path.append(source.text(position))
                position += 1
            else:
                break
        if len(path) > 1:
            yield index, tuple(path)


def used_words(module):
    """Returns name -> line for names that a module uses without a path.

    A name in lower case counts where it is called, as it could be a variable or a field elsewhere.
    """
    source, words = module.source, {}
    for index in own_tokens(module):
        token = source.tokens[index]
        if token.kind != "ident" or index in module.variants or source.text(index - 1) in NOT_A_USE:
            continue
        following = source.text(index + 1)
        is_called = following in ("(", "::") or (following == "!" and source.text(index + 2) in ("(", "[", "{"))
        if token.text[0].isupper() or is_called:
            words.setdefault(token.text, token.line)
    return words


def components(graph):
    """Returns the strongly connected components of two or more nodes (Tarjan), each sorted."""
    order, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        on_stack.add(node)
        for other in sorted(graph[node]):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            component = []
            while not component or component[-1] != node:
                component.append(stack.pop())
                on_stack.discard(component[-1])
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return sorted(found)


def shortest_cycle(graph, component):
    """Returns the nodes of a shortest cycle within a component, the first in the alphabet among several."""
    best = None
    for start in component:
        came_from, queue = {start: None}, [start]
        while queue:
            node = queue.pop(0)
            if start in graph[node]:
                cycle = [node]
                while came_from[cycle[-1]] is not None:
                    cycle.append(came_from[cycle[-1]])
                if best is None or len(cycle) < len(best):
                    best = cycle[::-1]
                break
            for other in sorted(graph[node]):
                if other in component and other not in came_from:
                    came_from[other] = node
                    queue.append(other)
    return best


def check_crate(crate, root=ROOT):
    """Returns a problem for each group of files of the crate in the folder `crate` that need each other."""
    problems = []
    for target in modules.read_crate(crate):
        graph = Graph(target)
        neighbours = graph.neighbours()
        for component in components(neighbours):
            problems.append(describe(graph, neighbours, component, crate.relative_to(root), root))
    return problems


def describe(graph, neighbours, component, where, root):
    """Returns the problem for one component, with an example for each step of its shortest cycle."""
    cycle = shortest_cycle(neighbours, component)
    steps = []
    for user, used in zip(cycle, [*cycle[1:], cycle[0]]):
        use = min(graph.uses[user, used])
        steps.append(f"\n      {user.relative_to(root)}:{use.line} needs {used.relative_to(root)} ({use.text})")
    names = ", ".join(str(file.relative_to(root / where / "src")) for file in component)
    return Problem(
        str(where),
        f"{len(component)} files need each other: {names}; the shortest cycle:{''.join(steps)}",
        "no cycle between the files of a crate",
        "move what both need into a file that needs neither, or pass it as a parameter",
    )


def edges_within(graph, component):
    """Returns (user, used, first use, number of uses) for each pair of a component."""
    inside = set(component)
    return sorted(
        (user, used, min(uses), len(uses)) for (user, used), uses in graph.uses.items() if user in inside and used in inside
    )


def check():
    """Returns the cycles of all crates."""
    problems = []
    for name in sorted(crate_packages()):
        problems += check_crate(ROOT / "crates" / name)
    return problems

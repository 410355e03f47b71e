"""Every outcome that the code can give a delivery, found in the source, so that none is forgotten.

An outcome is a text, written out somewhere and handed on to what `_kept` finds. Where a function hands it on,
its calls are looked at; what cannot be followed is an error, not nothing.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from edge.sip.delivery import Result

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("edge", "protocols", "storage")
MADE_OF = {
    ("edge.handlers", "Delivered"),
    ("edge.handlers", "Retry"),
    ("edge.handlers", "Failed"),
    ("edge.http.errors", "NoAnswer"),
    ("edge.errors", "Refused"),
    ("protocols.mail.smtp", "Verdict"),
}
"""What takes an outcome, or what becomes one, as its first argument: where it is defined, and its name."""
FROM_ELSEWHERE = {
    "error.reason",  # a NoAnswer's
    "error.code",  # a Refused's
    "verdict.outcome",  # of mail
    "verdict.result.value",  # of SIP: a Result
}
"""Outcomes that were found where they come from."""
CHECKED = "edge/outcomes.py"
"""There the outcomes of all handlers go through, third parties' too."""
FORWARDS = "edge.outbound"
"""What is refused there, or by what it uses, becomes an outcome of a forward."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class NotFollowed(AssertionError):
    """An outcome comes from where I do not see it: teach me."""


@dataclass
class Module:
    """A file of the source."""

    path: str
    tree: ast.Module
    imported: dict[str, str] = field(default_factory=dict)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            self.parents.update(dict.fromkeys(ast.iter_child_nodes(node), node))
            if isinstance(node, ast.ImportFrom) and node.module:
                self.imported.update({alias.asname or alias.name: node.module for alias in node.names})

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """What is assigned outside of functions and classes."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                found[node.target.id] = node.value
        return found

    @cached_property
    def calls(self) -> list[ast.Call]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What this stands in, the innermost first."""
        while (found := self.parents.get(node)) is not None:
            yield found
            node = found


@cache
def outcomes() -> frozenset[str]:
    """All of them."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    source = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in files}
    return frozenset(read(source) | {str(result.value) for result in Result})


def read(source: Mapping[str, str]) -> set[str]:
    """Those of this source, by file."""
    return _Source(Module(path, ast.parse(text)) for path, text in source.items()).find()


class _Source:
    """I follow outcomes through modules."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._modules = {module.name: module for module in modules}

    def find(self) -> set[str]:
        return {
            text
            for module in self._modules.values()
            for expression in self._kept(module)
            for text in self._texts(expression, module)
        }

    def _kept(self, module: Module) -> Iterator[ast.expr]:
        refusals = self._used_by(FORWARDS)
        for call in module.calls:
            name = _callee(call)
            defined = (module.imported.get(name, module.name), name)
            if defined in MADE_OF and module.path != CHECKED:
                if name != "Refused" or module.name in refusals:
                    yield _argument(call, 0, "outcome")
            elif ast.unparse(call.func) == "super().__init__" and _is_in_a("NoAnswer", call, module):
                yield call.args[0]
            elif name == "DeliveryRecord" or module.name == "storage.deliveries":
                yield from (item.value for item in call.keywords if item.arg == "last_outcome")

    def _used_by(self, name: str) -> set[str]:
        """That module and what it imports, directly or not."""
        found, new = set[str](), {name} & set(self._modules)
        while new:
            found |= new
            pairs = {pair for item in new for pair in self._modules[item].imported.items()}
            named = {candidate for what, where in pairs for candidate in (where, f"{where}.{what}")}
            new = (named & set(self._modules)) - found
        return found

    # -- what an expression may be ----------------------------------------------------------------

    def _texts(self, expression: ast.expr, module: Module) -> set[str]:
        match expression:
            case _ if ast.unparse(expression) in FROM_ELSEWHERE:
                return set()
            case ast.Constant(value=str(text)):
                return {text}
            case ast.Constant(value=None):
                return set()
            case ast.IfExp(body=one, orelse=other):
                return self._texts(one, module) | self._texts(other, module)
            case ast.Call(func=ast.Name(id="str"), args=[inner]):
                return self._texts(inner, module)
            case ast.Call(func=ast.Name(id="given")):  # a parameter of a statement: whoever fills it is seen
                return set()
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get")):
                return _written_in(module.constants[name])
            case ast.Name():
                return self._named(expression, module)
        raise NotFollowed(f"{module.path}:{expression.lineno}: {ast.unparse(expression)}")

    def _named(self, name: ast.Name, module: Module) -> set[str]:
        for function in module.around(name):
            if isinstance(function, Function):
                if any(item.arg == name.id for item in _parameters(function)):
                    return self._given(name, function, module)
                values = list(_assigned(name.id, function))
                if values:
                    return {text for value in values for text in self._taken(value, module)}
        if name.id in module.constants:
            return self._texts(module.constants[name.id], module)
        there = self._modules.get(module.imported.get(name.id, ""))
        if there is not None and name.id in there.constants:
            return self._texts(there.constants[name.id], there)
        raise NotFollowed(f"{module.path}:{name.lineno}: {name.id}")

    def _taken(self, value: ast.expr, module: Module) -> set[str]:
        """Of a loop over a table: all that is written in the table."""
        if isinstance(value, ast.Name) and isinstance(module.constants.get(value.id), ast.Tuple):
            return _written_in(module.constants[value.id])
        return self._texts(value, module)

    def _given(self, name: ast.Name, function: Function, module: Module) -> set[str]:
        """What the calls of a function give for this parameter."""
        if isinstance(function, ast.Lambda):
            call = module.parents[function]
            if isinstance(call, ast.Call) and _callee(call) == "heard":  # it gives a NoAnswer's reason
                return set()
            raise NotFollowed(f"{module.path}:{function.lineno}: {name.id} of a lambda")
        names = [item.arg for item in _parameters(function) if item.arg not in ("self", "cls")]
        found, called = set[str](), False
        for caller in self._modules.values():
            for call in caller.calls:
                if _is_call_of(call, function, module, caller):
                    called = True
                    found |= self._texts(_argument(call, names.index(name.id), name.id), caller)
        if not called:
            raise NotFollowed(f"{module.path}:{function.lineno}: nobody calls {function.name}")
        return found


def _is_call_of(call: ast.Call, function: Function, module: Module, caller: Module) -> bool:
    """In its own file by its name, elsewhere by the module's too."""
    assert not isinstance(function, ast.Lambda)
    if caller is module:
        return _callee(call) == function.name
    last = module.name.rpartition(".")[2]
    return (
        ast.unparse(call.func) == f"{last}.{function.name}"
        and caller.imported.get(last) == (module.name.rpartition(".")[0])
    )


def _is_in_a(base: str, call: ast.Call, module: Module) -> bool:
    """In a class that is made of this one?"""
    classes = [node for node in module.around(call) if isinstance(node, ast.ClassDef)]
    return any(ast.unparse(item) == base for node in classes for item in node.bases)


def _callee(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _argument(call: ast.Call, place: int, name: str) -> ast.expr:
    named = [item.value for item in call.keywords if item.arg == name]
    return named[0] if named else call.args[place]


def _parameters(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _assigned(name: str, function: Function) -> Iterator[ast.expr]:
    """What a variable of a function is assigned, or what it runs over."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                yield value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = zip(targets, values, strict=True)
                yield from (value for target, value in pairs if ast.unparse(target) == name)
            case ast.For(target=ast.Tuple(elts=targets), iter=over):
                if name in map(ast.unparse, targets):
                    yield over


def _written_in(table: ast.expr) -> set[str]:
    """All texts of a tuple; of a dict those of its values."""
    parts = table.values if isinstance(table, ast.Dict) else [table]
    return {
        node.value
        for part in parts
        for node in ast.walk(part)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

"""Single faults in a source: a rounding, a clamp, a comparison or the virtual share turned."""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

ROUNDINGS = {
    "mul_div_up": "mul_div_down",
    "mul_div_down": "mul_div_up",
    "units_up": "units_down",
    "units_down": "units_up",
    "tokens_up": "tokens_down",
    "tokens_down": "tokens_up",
}
CLAMPS = {"min": "max", "max": "min"}
BOUNDS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
}
IMPORT = "from amm.units import mul_div_down, mul_div_up, units_down, units_up  # noqa\n"


class Target(NamedTuple):
    """A module with money in it; of all its functions, or of those named."""

    module: str
    functions: frozenset[str] = frozenset()


TARGETS = (
    Target("shares"),
    Target("insurance"),
    Target("crossing"),
    Target("fills"),
    Target("queue"),
    Target("flush"),
    Target("nav"),
    Target("capacity"),
    Target("condition"),
    Target("dissolution"),
    Target("provide"),
    Target(
        "effects",
        frozenset(
            {
                "accrue",
                "settle",
                "resize",
                "book_spread",
                "_write_off_lot",
                "book_advance",
                "_oldest_lot",
                "repay_advances",
                "track_cover",
                "note_peak",
            }
        ),
    ),
    Target(
        "premium",
        frozenset({"premium_for", "_pay_premium", "owed_by_position", "settle_seller"}),
    ),
)


class Mutant(NamedTuple):
    """One fault: in `vaults/<module>.py`, `before` became `after`.

    Attributes:
        module: The module's name.
        function: The function the fault is in.
        line: Where.
        before: The source there.
        after: What it is replaced with.
        source: The module with the fault.
    """

    module: str
    function: str
    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """What the fault is, without the line, which other edits move."""
        return f"{self.module}.{self.function}: {self.before} -> {self.after}"


class _Edit(NamedTuple):
    node: ast.expr
    after: str


def _edits(node: ast.AST, text: str) -> Iterator[_Edit]:
    """Yield what can be turned at one node."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name, args = node.func.id, [_source(text, each) for each in node.args]
        if name in ROUNDINGS:
            yield _Edit(node, f"{ROUNDINGS[name]}({', '.join(args)})")
        if name in CLAMPS and len(args) > 1:
            yield _Edit(node, f"{CLAMPS[name]}({', '.join(args)})")
            for dropped in range(len(args)):
                kept = args[:dropped] + args[dropped + 1 :]
                yield _Edit(node, f"{name}({', '.join(kept)})" if len(kept) > 1 else f"({kept[0]})")
    elif isinstance(node, ast.Compare):
        yield from _bounds(node, text)
    elif isinstance(node, ast.BinOp) and ast.unparse(node).endswith(" + 1"):
        yield _Edit(node, f"({_source(text, node.left)})")


def _bounds(node: ast.Compare, text: str) -> Iterator[_Edit]:
    """Yield a comparison with one of its bounds moved by a unit."""
    parts = [node.left, *node.comparators]
    for turned, operator in enumerate(node.ops):
        if type(operator) in BOUNDS:
            source = _source(text, parts[0])
            for number, other in enumerate(node.ops):
                before, after = BOUNDS.get(type(other), (ast.unparse(node), ""))
                sign = after if number == turned else before
                source += f" {sign} {_source(text, parts[number + 1])}"
            yield _Edit(node, source)


@cache
def _line_starts(text: str) -> list[int]:
    """Return where each line of a source begins; sources are ASCII, so columns are characters."""
    return [0, *accumulate(map(len, text.splitlines(keepends=True)))]


def _span(text: str, node: ast.expr | ast.stmt) -> tuple[int, int]:
    """Return where a node begins and ends in its source."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    starts = _line_starts(text)
    return starts[node.lineno - 1] + node.col_offset, starts[
        node.end_lineno - 1
    ] + node.end_col_offset


def _source(text: str, node: ast.expr) -> str:
    """Return the source of a node on one line."""
    start, end = _span(text, node)
    return " ".join(text[start:end].split())


@cache
def _head(text: str) -> int:
    """Return where a module's docstring and its line end."""
    return _span(text, ast.parse(text).body[0])[1] + 1


def _replace(text: str, edit: _Edit) -> str:
    """Return the source with a node replaced, and what the fault may need imported."""
    start, end = _span(text, edit.node)
    head = _head(text)
    return text[:head] + IMPORT + text[head:start] + edit.after + text[end:]


def mutants_of(text: str, target: Target) -> Iterator[Mutant]:
    """Yield every fault of a module."""
    for function in ast.parse(text).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        if target.functions and function.name not in target.functions:
            continue
        for node in ast.walk(function):
            for edit in _edits(node, text):
                before, source = _source(text, edit.node), _replace(text, edit)
                yield Mutant(
                    target.module, function.name, edit.node.lineno, before, edit.after, source
                )


def all_mutants(root: Path) -> list[Mutant]:
    """Return the faults of every target of a checkout, in the order of its sources."""
    found: list[Mutant] = []
    for target in TARGETS:
        text = (root / "vaults" / f"{target.module}.py").read_text()
        found += sorted(mutants_of(text, target), key=lambda each: each.line)
    return found

"""Which tests carry which fault's marker, read from the source; `docs/reliability.md` is made of it.

UPDATE_RELIABILITY=1 .venv/bin/python -m pytest tests/architecture/test_reliability.py     writes it anew
"""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_MISSING = "missing"
_MEASURED = "measured"
TESTS = Path(__file__).parent
DOC = TESTS.parent / "docs" / "reliability.md"
HEAD = """# Reliability: what may go wrong, and the tests that make it go wrong

Made from the tests' markers (`@pytest.mark.fault("F5")`) and the titles in `tests/faults.toml`; a test compares it.
A row without tests is not proven yet. What is promised, and what is not, is in `docs/operations.md`.
"""


def titles() -> dict[str, dict[str, str]]:
    """Group -> id -> title."""
    return {group: rows for group, rows in _written().items() if group not in (_MISSING, _MEASURED)}


def missing() -> dict[str, str]:
    """Id -> what of the row is not proven although it has tests, in a sentence."""
    return _written().get(_MISSING, {})


def measured() -> dict[str, str]:
    """What a run of `make prove` met, by proof: it prints these figures, and a person writes them here."""
    return _written().get(_MEASURED, {})


def _written() -> dict[str, dict[str, str]]:
    return tomllib.loads((TESTS / "faults.toml").read_text(encoding="utf-8"))


def marked() -> dict[str, list[str]]:
    """Id -> `path::test` that carry it, by their own marker or their module's."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for one, test in marked_in(path.read_text(encoding="utf-8")):
            found[one].append(f"{path.relative_to(TESTS).as_posix()}::{test}")
    return found


def marked_in(source: str) -> Iterator[tuple[str, str]]:
    """Id and test for every marker of one module; tests in classes and `async` ones too."""
    tree = ast.parse(source)
    whole = [one for node in tree.body if _assigns(node, "pytestmark") for one in _ids(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            own = [one for decorator in node.decorator_list for one in _ids(decorator)]
            yield from ((one, node.name) for one in dict.fromkeys([*whole, *own]))


def _assigns(node: ast.stmt, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _ids(node: ast.AST) -> Iterator[str]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "fault":
            yield from (str(one.value) for one in call.args if isinstance(one, ast.Constant))


def document() -> str:
    """The whole page."""
    tests, parts = marked(), [HEAD]
    known, open_ = titles(), missing()
    if measured():
        parts.append("\n## Measured\n\n| proof | what one run met |\n|---|---|\n")
        parts += [f"| {proof} | {figures} |\n" for proof, figures in measured().items()]
    for group, rows in known.items():
        proven = sum(one in tests for one in rows)
        parts.append(
            f"\n## {group}\n\n{proven} of {len(rows)} have tests.\n\n| id | what | tests |\n|---|---|---|\n"
        )
        parts += [
            f"| {one} | {title.replace('|', '/')} | {_cell(tests.get(one, []), open_.get(one, ''))} |\n"
            for one, title in rows.items()
        ]
    return "".join(parts)


def _cell(tests: list[str], lacks: str) -> str:
    if not tests:
        return f"not yet: {lacks}" if lacks else "not yet"
    files = [f"`{name}`" for name in dict.fromkeys(test.partition("::")[0] for test in tests)]
    return "<br>".join([*files, *([f"in part: {lacks}"] if lacks else [])])

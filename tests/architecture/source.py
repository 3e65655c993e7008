"""The product's source as the architecture tests see it: one entry per module, parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from config.env import ROOT

#: Floor of each app, as in docs/architecture.md.
FLOORS = {
    "metaads": 1,
    "accounts": 2,
    "campaigns": 3,
    "insights": 4,
    "strategies": 5,
    "dashboard": 6,
    "config": 7,
}


@dataclass(frozen=True)
class Module:
    """One file. `name` is its dotted name, `app` the top-level package."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def app(self) -> str:
        return self.name.split(".")[0]

    @property
    def floor(self) -> int:
        return FLOORS[self.app]

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the product; migrations left out."""
    found = []
    for app in FLOORS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" in path.parts or "node_modules" in path.parts:
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            text = path.read_text()
            found.append(Module(path=path, name=name, text=text, tree=ast.parse(text, filename=str(path))))
    return tuple(found)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute; "" for anything else. A call in the middle reads as `f().x`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inside = dotted(node.value)
        return f"{inside}.{node.attr}" if inside else f"?.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{dotted(node.func)}()"
    return ""


def text_of(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def imported_as(module: Module) -> dict[str, str]:
    """Local name -> what it is (`utcnow` -> `datetime.datetime.utcnow` is not followed; imports are)."""
    names: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def resolved(module: Module, node: ast.AST) -> str:
    """The dotted name of `node` with its first part replaced by what was imported under that name."""
    name = dotted(node)
    first, _, rest = name.partition(".")
    real = imported_as_cached(module.name).get(first, first)
    return f"{real}.{rest}" if rest else real


@cache
def imported_as_cached(name: str) -> dict[str, str]:
    return imported_as(next(module for module in modules() if module.name == name))

"""The ``fields`` parameter: names, arguments and nested expansions (reference 8.3).

name,adsets.limit(5){id,name,ads.limit(10){id}},insights.date_preset(last_7d).as(week){spend}
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from metaads.sandbox.errors import GraphError


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One requested field; ``children`` is None when nothing was expanded."""

    name: str
    args: dict[str, str]
    children: tuple[Field, ...] | None
    alias: str

    @property
    def key(self) -> str:
        """The key in the answer."""
        return self.alias or self.name


def parse(raw: Any) -> tuple[Field, ...]:
    """Fields from csv or a JSON array; code 2500 when the text cannot be parsed."""
    if isinstance(raw, list):
        raw = ",".join(str(item) for item in raw)
    text = str(raw or "").strip()
    if text.startswith("["):
        try:
            text = ",".join(json.loads(text))
        except (ValueError, TypeError):
            raise _unparsable(text) from None
    if not text:
        return ()
    fields, end = _list(text, 0)
    if end != len(text):
        raise _unparsable(text)
    return fields


def _list(text: str, at: int) -> tuple[tuple[Field, ...], int]:
    found: list[Field] = []
    while at < len(text):
        if text[at] in ", \n":
            at += 1
            continue
        if text[at] == "}":
            break
        field, at = _field(text, at)
        found.append(field)
    return tuple(found), at


def _field(text: str, at: int) -> tuple[Field, int]:
    name, at = _name(text, at)
    args: dict[str, str] = {}
    while at < len(text) and text[at] == ".":
        key, at = _name(text, at + 1)
        if at >= len(text) or text[at] != "(":
            raise _unparsable(text)
        args[key], at = _argument(text, at)
    children = None
    if at < len(text) and text[at] == "{":
        children, at = _list(text, at + 1)
        if at >= len(text) or text[at] != "}":
            raise _unparsable(text)
        at += 1
    return Field(name, args, children, args.pop("as", "")), at


def _name(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] in "_-"):
        end += 1
    if end == at:
        raise _unparsable(text)
    return text[at:end], end


def _argument(text: str, at: int) -> tuple[str, int]:
    depth, end = 0, at
    while end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
        if depth == 0:
            return text[at + 1 : end - 1], end
    raise _unparsable(text)


def _unparsable(text: str) -> GraphError:
    return GraphError(2500, f"Syntax error in fields: {text[:80]}")

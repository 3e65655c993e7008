"""Shapes of JSON: one table of them is read two ways, as the reader of what people send and as the published schema.

    shape ─> read(data) -> the value it builds, or mistakes, each with its path (``cases[0].when.all[1].op``)
          └> schema()   -> JSON Schema (draft 2020-12) that admits whatever can be read

The schema knows nothing of units and of what fits together, so it admits more than the reader; what the reader takes,
the schema admits.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

MAX_DECIMALS: Final = 9
#: Money, counts and ratios alike.
MAX_NUMBER: Final = Decimal(10) ** 12
MAX_DEPTH: Final = 12
MAX_NODES: Final = 200
_AMOUNT: Final = r"(0|[1-9][0-9]{0,12})(\.[0-9]{1,9})?"
#: What a shape answers for what it could not read; the mistake is noted.
BAD: Final = object()


class BadTree(ValueError):
    """What cannot be read; `errors` holds (path, sentence)."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{path or 'rule'}: {text}" for path, text in self.errors))


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


class Reader:
    """Collects mistakes instead of stopping at the first. `about` is what builders want to know."""

    def __init__(self, shapes: Mapping[str, Shape], about: Any = None) -> None:
        self.shapes, self.about = shapes, about
        self.errors: list[tuple[str, str]] = []
        self.seen = self.depth = 0

    def bad(self, path: str, text: str) -> Any:
        self.errors.append((path, text))
        return BAD

    def read(self, shape: Shape, data: Any, path: str) -> Any:
        """What the shape builds of the data, or `BAD`."""
        return shape.read(self, data, path)


class Shape(ABC):
    """One kind of JSON value."""

    @abstractmethod
    def read(self, reader: Reader, data: Any, path: str) -> Any: ...

    @abstractmethod
    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Word(Shape):
    """One of some words; `aliases` are other names for them, `refused` words with their own advice."""

    choices: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        if isinstance(data, str):
            word = self.aliases.get(data, data)
            if word in self.choices:
                return word
            if data in self.refused:
                return reader.bad(path, self.refused[data])
        return reader.bad(path, f"must be one of {', '.join(sorted(self.choices))}")

    def schema(self) -> dict[str, Any]:
        return {"enum": [*self.choices, *self.aliases]}


@dataclass(frozen=True)
class Text(Shape):
    """Free text of one line, or text of a pattern (`reading` makes a value of it, `None` is a mistake)."""

    most: int = 400
    pattern: str = ""
    advice: str = ""
    reading: Callable[[str], Any] | None = None

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        if self.reading is not None:
            value = self.reading(data) if isinstance(data, str) else None
            return reader.bad(path, self.advice) if value is None else value
        if not isinstance(data, str) or not 1 <= len(data) <= self.most or "\x00" in data:
            return reader.bad(path, f"must be a text of 1 to {self.most} characters")
        if self.pattern and not re.fullmatch(self.pattern.strip("^$"), data):
            return reader.bad(path, self.advice)
        return data

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": self.most}
        return found | ({"pattern": self.pattern} if self.pattern else {})


@dataclass(frozen=True)
class Amount(Shape):
    """A number written as text, so that JSON never makes it a float; a whole number may be written plainly."""

    least: Decimal = Decimal(0)
    most: Decimal = MAX_NUMBER

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        if isinstance(data, bool) or not isinstance(data, str | int):
            return reader.bad(path, 'must be a number written as text, e.g. "0.80"')
        sign = "-?" if self.least < 0 else ""
        text = str(data)
        if len(text) > 40 or re.fullmatch(sign + _AMOUNT, text) is None:
            words = f'must be a number with at most {MAX_DECIMALS} decimals, written as text, e.g. "0.80"'
            return reader.bad(path, f"{words}; it is from {self.least:f} to {self.most:f}")
        value = Decimal(text)
        if not self.least <= value <= self.most:
            return reader.bad(path, f"must be a number from {self.least:f} to {self.most:f}")
        return value + 0  # no minus zero

    def schema(self) -> dict[str, Any]:
        sign = "-?" if self.least < 0 else ""
        whole = {"type": "integer", "minimum": int(self.least), "maximum": int(self.most)}
        return {"anyOf": [{"type": "string", "pattern": f"^{sign}{_AMOUNT}$"}, whole]}


@dataclass(frozen=True)
class Whole(Shape):
    least: int
    most: int

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        if isinstance(data, bool) or not isinstance(data, int) or not self.least <= data <= self.most:
            return reader.bad(path, f"must be a whole number from {self.least} to {self.most}")
        return data

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Flag(Shape):
    def read(self, reader: Reader, data: Any, path: str) -> Any:
        return data if isinstance(data, bool) else reader.bad(path, "must be true or false")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Many(Shape):
    """A list, read to a tuple. `what` names one of its members."""

    one: Shape
    most: int
    what: str
    least: int = 1

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        if not isinstance(data, list) or len(data) < self.least:
            words = f" with at least one {self.what}" if self.least else f" of {self.what}s"
            return reader.bad(path, f"must be a list{words}")
        if len(data) > self.most:
            return reader.bad(path, f"has at most {self.most} {self.what}s")
        found = tuple(reader.read(self.one, item, f"{path}[{i}]") for i, item in enumerate(data))
        return BAD if any(one is BAD for one in found) else found

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.one.schema(), "minItems": self.least, "maxItems": self.most}


Build = Callable[[Reader, dict[str, Any], str], Any]


@dataclass(frozen=True)
class Record(Shape):
    """An object with exactly these keys. Of `one_of` exactly one group of keys is given, whole.

    `build(reader, values, path)` makes the value; it may note what does not fit together and answer `BAD`.
    """

    needs: Mapping[str, Shape]
    build: Build
    may: Mapping[str, Shape] = field(default_factory=dict)
    one_of: tuple[tuple[str, ...], ...] = ()

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        if not isinstance(data, Mapping):
            return reader.bad(path, f"must be an object with {', '.join(self.needs)}")
        known = {**self.needs, **self.may}
        fine = True
        for key in data:
            if key not in known:
                reader.bad(join(path, str(key)[:60]), "is not known here")
                fine = False
        values: dict[str, Any] = {}
        for key, shape in known.items():
            if key in data:
                values[key] = reader.read(shape, data[key], join(path, key))
            elif key in self.needs:
                reader.bad(join(path, key), "is missing")
                fine = False
        fine = self._one_group(reader, data, path) and fine
        if not fine or any(value is BAD for value in values.values()):
            return BAD
        return self.build(reader, values, path)

    def _one_group(self, reader: Reader, data: Mapping[str, Any], path: str) -> bool:
        if not self.one_of:
            return True
        whole = [group for group in self.one_of if all(key in data for key in group)]
        parts = [group for group in self.one_of if any(key in data for key in group)]
        if len(whole) == len(parts) == 1:
            return True
        words = ", ".join(" with ".join(group) for group in self.one_of)
        reader.bad(join(path, self.one_of[0][0]), f"exactly one of {words} is needed")
        return False

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "object",
            "properties": {key: shape.schema() for key, shape in {**self.needs, **self.may}.items()},
            "required": list(self.needs),
            "additionalProperties": False,
        }
        if self.one_of:
            found["oneOf"] = [{"required": list(group)} for group in self.one_of]
        return found


@dataclass(frozen=True)
class Keyed(Shape):
    """An object whose kind shows by which of some keys it has."""

    kinds: Mapping[str, Shape]
    what: str = ""

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        names = ", ".join(self.kinds)
        if not isinstance(data, Mapping):
            return reader.bad(path, f"must be an object with one of {names}")
        found = [kind for kind in self.kinds if kind in data]
        if len(found) != 1:
            return reader.bad(path, f"must have exactly one of {names}")
        return reader.read(self.kinds[found[0]], data, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [shape.schema() for shape in self.kinds.values()]}


@dataclass(frozen=True)
class Named(Shape):
    """An object whose kind is the word under `key`; each kind is a record of the other keys."""

    key: str
    kinds: Mapping[str, Record]
    refused: Mapping[str, str] = field(default_factory=dict)

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        if not isinstance(data, Mapping):
            return reader.bad(path, f"must be an object with {self.key}")
        word = Word(tuple(self.kinds), refused=self.refused)
        kind = reader.read(word, data.get(self.key), join(path, self.key))
        if kind is BAD:
            return BAD
        return reader.read(self.kinds[kind], {k: v for k, v in data.items() if k != self.key}, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self._with(kind, shape.schema()) for kind, shape in self.kinds.items()]}

    def _with(self, kind: str, found: dict[str, Any]) -> dict[str, Any]:
        properties = {self.key: {"const": kind}, **found["properties"]}
        return found | {"properties": properties, "required": [self.key, *found["required"]]}


@dataclass(frozen=True)
class Ref(Shape):
    """A shape by name, so that it may hold itself. How deep, and how many in all, is bounded."""

    name: str

    def read(self, reader: Reader, data: Any, path: str) -> Any:
        reader.seen += 1
        if reader.seen > MAX_NODES:
            if reader.seen == MAX_NODES + 1:
                reader.bad(path, f"a rule has at most {MAX_NODES} conditions")
            return BAD
        if reader.depth > MAX_DEPTH:
            return reader.bad(path, f"a rule is nested at most {MAX_DEPTH} deep")
        reader.depth += 1
        try:
            return reader.read(reader.shapes[self.name], data, path)
        finally:
            reader.depth -= 1

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self.name}"}

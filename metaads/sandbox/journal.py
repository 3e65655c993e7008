"""The journal: everything that ever moved the world away from its seed, in order.

State = world + seed + journal. Kinds: ``set`` (one field of one object, by whom, when it lands), ``create``, ``clock``,
``fault``, ``grant``, ``revoke``, ``run`` (a report run). With a path the journal is a JSON-lines file whose first line
says which world it belongs to and when that world first started; a restart replays it.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any


class JournalMismatch(ValueError):
    """The file on disk belongs to another world or seed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line: ``at`` is unix seconds by the sandbox's clock."""

    seq: int
    at: float
    kind: str
    data: dict[str, Any]


class Journal:
    """Append-only; in memory, and on disk when a path was given."""

    def __init__(self, path: pathlib.Path | None = None) -> None:
        self.path = path
        self._entries: list[Entry] = []
        self.header: dict[str, Any] = {}
        if path is not None and path.exists():
            self._load(path)

    def open(self, *, world: str, seed: int, start: float) -> float:
        """Bind the journal to a world; returns the world's first start (unix seconds), the recorded one if
        there is one.
        """
        if self.header:
            if (self.header["world"], self.header["seed"]) != (world, seed):
                raise JournalMismatch(
                    f"{self.path} belongs to world {self.header['world']} seed {self.header['seed']}, "
                    f"not to {world} seed {seed}; give another --journal directory or remove it"
                )
            return float(self.header["start"])
        self.header = {"world": world, "seed": seed, "start": start}
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.header) + "\n", encoding="utf-8")
        return start

    def append(self, *, at: float, kind: str, data: dict[str, Any]) -> Entry:
        """Record, then return the entry; what is on disk is what happened."""
        entry = Entry(seq=len(self._entries) + 1, at=at, kind=kind, data=data)
        self._entries.append(entry)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([entry.seq, entry.at, entry.kind, entry.data], sort_keys=True) + "\n")
        return entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def since(self, count: int) -> list[Entry]:
        """The entries after the first ``count``."""
        return self._entries[count:]

    def of(self, kind: str) -> list[Entry]:
        """The entries of one kind, oldest first."""
        return [entry for entry in self._entries if entry.kind == kind]

    def _load(self, path: pathlib.Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines:
            return
        self.header = json.loads(lines[0])
        for number, line in enumerate(lines[1:], start=2):
            try:
                seq, at, kind, data = json.loads(line)
            except ValueError:
                # A kill in the middle of a write cuts the last line only: that effect was never answered.
                if number == len(lines):
                    path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
                    break
                raise
            self._entries.append(Entry(seq=seq, at=at, kind=kind, data=data))

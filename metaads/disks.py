"""How much room is left where this installation writes, told before there is none.

    low     less than 1 GiB, or than a tenth of a small disk: people are told
    full    less than 200 MiB, or than a fiftieth, or no file can be made any more: nothing may spend more

What is full is silent: no row, no log line and no mail can be written. So it is said while there is room for that.
The disk of a PostgreSQL server cannot be seen from here.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

_MIB: Final = 1024 * 1024
#: (at most so many bytes, at most this share of the disk): whichever is less.
LOW: Final = (1024 * _MIB, 10)
FULL: Final = (200 * _MIB, 50)


@dataclass(frozen=True)
class Disk:
    """One place; `free` and `size` in bytes for who is not root, `files` how many more can be made (None: no limit)."""

    name: str
    path: str
    free: int
    size: int
    files: int | None = None

    @property
    def full(self) -> bool:
        return self.free < _floor(FULL, self.size) or self.files == 0

    @property
    def low(self) -> bool:
        return self.full or self.free < _floor(LOW, self.size)

    @property
    def words(self) -> str:
        if self.files == 0:
            return f"{self.name} ({self.path}): no more files can be made"
        return f"{self.name} ({self.path}): {self.free // _MIB} MiB of {self.size // _MIB} MiB left"


def _floor(limit: tuple[int, int], size: int) -> int:
    most, share = limit
    return min(most, size // share)


def look() -> list[Disk]:
    """The places that this process writes to, each once; one that cannot be asked about is left out."""
    database = settings.DATABASES["default"]
    places = {"files": str(settings.VAR_DIR), "temporary files": tempfile.gettempdir()}
    if database["ENGINE"].endswith("sqlite3"):
        places = {"database": str(Path(str(database["NAME"])).parent), **places}
    found: dict[tuple[int, int], Disk] = {}
    for name, path in places.items():
        try:
            stat = os.statvfs(path)
        except OSError:
            continue
        disk = Disk(
            name,
            path,
            free=stat.f_bavail * stat.f_frsize,
            size=stat.f_blocks * stat.f_frsize,
            files=stat.f_favail if stat.f_files else None,
        )
        found.setdefault((stat.f_fsid, disk.size), disk)
    return list(found.values())


def full() -> str:
    """Which place is full, in words; "" while none is."""
    return "; ".join(disk.words for disk in look() if disk.full)

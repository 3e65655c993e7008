"""Room on the disks: low, then full, in proportion to the disk."""

from __future__ import annotations

import os
from typing import Any

import pytest

import metaads.disks as disks

pytestmark = pytest.mark.fault("F99")


@pytest.mark.parametrize(
    ("size", "free", "low", "full"),
    [
        (100_000, 1024, False, False),
        (100_000, 1023, True, False),
        (100_000, 200, True, False),
        (100_000, 199, True, True),
        (1_000, 100, False, False),  # a small one is not low from the day that it is made
        (1_000, 99, True, False),
        (1_000, 19, True, True),
    ],
)
def test_a_disk_is_low_then_full(small_disk: Any, size: int, free: int, low: bool, full: bool) -> None:
    small_disk(free=free, size=size)
    disk = disks.look()[0]
    assert (disk.low, disk.full) == (low, full)
    assert bool(disks.full()) == full


def test_a_disk_without_room_for_one_more_file_is_full(small_disk: Any) -> None:
    small_disk(free=50_000, files=0)
    assert "no more files" in disks.full()


def test_a_file_system_that_counts_no_files_is_not_called_full(monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.statvfs_result((4096, 4096, 10**8, 10**8, 10**8, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: found)
    assert disks.full() == ""


def test_one_disk_is_named_once_and_a_place_that_cannot_be_asked_about_not_at_all(
    small_disk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_disk(free=1)
    assert len(disks.look()) == 1

    def gone(path: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "statvfs", gone)
    assert disks.look() == []


def test_this_machine_s_own_disks_can_be_read() -> None:
    assert all(0 <= disk.free <= disk.size and disk.size > 0 for disk in disks.look()) and disks.look()

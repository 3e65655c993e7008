"""Warnings are filed once per text, and a closed one opens anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from metaads.models import Notice
from metaads.notices import close, open_notices, report

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)


def test_the_same_warning_again_moves_only_when_it_was_seen() -> None:
    for hours in range(3):
        report(kind="version", text="v24.0 ends soon", now=NOW + timedelta(hours=hours))
    [notice] = open_notices()
    assert (notice.kind, notice.text, notice.times) == ("version", "v24.0 ends soon", 3)
    assert (notice.opened_at, notice.seen_at) == (NOW, NOW + timedelta(hours=2))


def test_another_text_is_another_warning_and_the_oldest_comes_first() -> None:
    report(kind="version", text="b", now=NOW + timedelta(hours=1))
    report(kind="version", text="a", now=NOW)
    assert [notice.text for notice in open_notices()] == ["a", "b"]


def test_a_closed_warning_is_gone_and_the_next_report_opens_a_new_row() -> None:
    report(kind="version", text="a", now=NOW)
    assert close(kind="version", now=NOW) == 1
    assert open_notices() == []
    report(kind="version", text="a", now=NOW + timedelta(days=1))
    [notice] = open_notices()
    assert notice.opened_at == NOW + timedelta(days=1) and Notice.objects.count() == 2


def test_a_long_text_is_cut_and_still_the_same_warning() -> None:
    for _ in range(2):
        report(kind="version", text="x" * 900, now=NOW)
    [notice] = open_notices()
    assert len(notice.text) == 500 and notice.times == 2

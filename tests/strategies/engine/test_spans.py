"""Windows: one text for one set of days, and which days these are."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine import spans
from strategies.engine.spans import PATTERN, Kind, Span, days, parse, settled_after
from tests.strategies.engine.documents import spans as day_spans

every = day_spans | st.builds(Span, st.just(Kind.HOURS), st.integers(1, 72))


@given(every)
def test_a_window_is_read_from_its_own_text_which_the_pattern_admits(span):
    assert parse(span.text) == span
    assert re.search(PATTERN, span.text)
    assert spans.words(span.text) == span.words != span.text or span.kind is Kind.TODAY or span.count == 1


@given(st.from_regex(PATTERN.replace("$", r"\Z"), fullmatch=True))
def test_whatever_the_pattern_admits_is_read_and_comes_back_canonical(text):
    found = parse(text)
    assert found is not None
    assert parse(found.text) == found


@pytest.mark.parametrize(
    "text",
    ["", "last_0d", "last_91d", "last_07d", "last_7", "last_73h", "last_7d_mature_49", "last_7d_mature_100",
     "LAST_7D", "last_7d ", "last_7d\n", "last_٧d", "tomorrow", "last_7d_mature_and_today"],
)  # fmt: skip
def test_anything_else_is_no_window(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("today", 18, 18),
        ("yesterday", 17, 17),
        ("last_7d", 11, 17),
        ("last_7d_and_today", 11, 18),
        ("last_7d_mature_90", 11, 14),  # the three youngest days are not there yet
    ],
)
def test_a_window_ends_yesterday_unless_it_says_today(text, first, last):
    found = days(parse(text), today=date(2026, 11, 18), settled=3)
    assert found == (date(2026, 11, first), date(2026, 11, last))


def test_mature_days_are_none_where_nobody_knows_or_none_is_old_enough():
    window = parse("last_7d_mature")
    assert window.text == "last_7d_mature_90"
    assert days(window, today=date(2026, 11, 18), settled=None) is None
    assert days(window, today=date(2026, 11, 18), settled=7) is None
    assert days(window, today=date(2026, 11, 18), settled=6) == (date(2026, 11, 11), date(2026, 11, 11))


def test_a_curve_that_falls_back_is_settled_only_after_its_last_low():
    shares = [Decimal(one) for one in ("0.5", "0.92", "0.89", "0.95", "1")]
    assert settled_after(shares, 90) == 3
    assert settled_after(shares, 50) == 0
    assert settled_after([Decimal("0.5")] * 3, 90) is None

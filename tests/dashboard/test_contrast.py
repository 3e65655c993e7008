"""WCAG AA, computed: every text colour of the tokens on every ground that it stands on, light and dark."""

from __future__ import annotations

import re
from pathlib import Path

from django.contrib.staticfiles import finders

GROUNDS = ("bg", "surface", "surface-2", "surface-3")
PAIRS = [
    *((text, ground) for text in ("ink", "ink-2", "muted", "accent") for ground in GROUNDS[:3]),
    ("ink-2", "surface-3"),
    ("accent", "accent-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("ok", "ok-soft"),
    ("ok", "surface"),
    ("warn", "warn-soft"),
    ("warn", "surface"),
    ("bad", "bad-soft"),
    ("bad", "surface"),
    ("on-bad", "bad"),
]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_text_stands_out_by_four_and_a_half_to_one():
    css = Path(finders.find("accounts/tokens.css")).read_text()
    found = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    colours = {name: (light, dark) for name, light, dark in found}
    assert contrast("#000000", "#ffffff") == 21
    for text, ground in PAIRS:
        for scheme, at in (("light", 0), ("dark", 1)):
            ratio = contrast(colours[text][at], colours[ground][at])
            assert ratio >= 4.5, f"--{text} on --{ground}, {scheme}: {ratio:.2f}"

"""A person's way through Meta's dialog: the browser's part of the OAuth dance, without a browser."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

from tests.door import session


def begin(browser: Any, *, client: str) -> str:
    """Press *Connect Meta account*; the address of Meta's dialog."""
    answer = browser.post("/connections/connect", {"client": client})
    assert answer.status_code == 302, answer.content
    return str(answer["Location"])


def at_meta(
    sandbox: Any, dialog: str, *, user: str = "alice", decision: str = "continue", without: str = ""
) -> str:
    """Decide in the dialog; the path (with query) to which Meta sends the browser back."""
    where = urlsplit(dialog)
    meta = session(sandbox, base=f"{where.scheme}://{where.netloc}")
    page = meta.get(dialog)
    assert page.status_code == 200, page.text
    form = {
        name: unescape(value)
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    }
    boxes = {
        name: "1" for name in re.findall(r'name="(grant_[a-z_]+)"', page.text) if name != f"grant_{without}"
    }
    back = meta.post(
        dialog, data={**form, **boxes, "user": user, "decision": decision}, allow_redirects=False
    )
    assert back.status_code == 302, back.text
    target = urlsplit(back.headers["Location"])
    return f"{target.path}?{target.query}"


def come_back(browser: Any, path: str) -> str:
    """Follow Meta's redirect; the path of the page where the person confirms."""
    answer = browser.get(path)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return str(answer["Location"])

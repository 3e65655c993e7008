"""Golden files: one request and its whole answer, numbers digit by digit, volatile values under names.

`UPDATE_GOLDEN=1` rewrites them; then read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("golden")
_VOLATILE = {
    "uuid": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "digest": re.compile(r"\b[0-9a-f]{64}\b"),
    "link": re.compile(r"(?<=/connections/connect/)[^/\"]+"),
    "code": re.compile(r"(?<=[?&]code=)[^&\"]+"),
    "state": re.compile(r"(?<=[?&]state=)[^&\"]+"),
}


class Number(str):
    """A JSON number as it was written: 100 and 100.00 differ."""


def read(text: str) -> Any:
    return json.loads(text, parse_float=Number, parse_int=Number)


def compare(name: str, *, request: dict[str, Any], response: dict[str, Any]) -> None:
    """Fail where what came differs from the golden file `name`. Values of `response` are JSON as `read` gives it."""
    names: dict[str, str] = {}
    came = _named({"request": request, "response": response}, names)
    file = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(_write(came) + "\n")
    golden = read(file.read_text())
    assert _write(_sorted(came)) == _write(_sorted(golden)), (
        f"{file.name} differs; UPDATE_GOLDEN=1 rewrites it"
    )


def _sorted(value: Any) -> Any:
    """Keys in order: a JSON object has none, and PostgreSQL stores its own."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _named(value: Any, names: dict[str, str]) -> Any:
    """The same with volatile texts replaced; the same value has the same name everywhere."""
    if isinstance(value, dict):
        return {key: _named(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    if not isinstance(value, str) or isinstance(value, Number):
        return value
    for kind, pattern in _VOLATILE.items():

        def name(match: re.Match[str], kind: str = kind) -> str:
            count = sum(1 for one in names.values() if one.startswith(f"<{kind} "))
            return names.setdefault(match[0], f"<{kind} {count + 1}>")

        value = pattern.sub(name, value)
    return value


def _write(value: Any, indent: str = "") -> str:
    """JSON, indented, its keys in the order of the answer."""
    deeper = indent + "  "
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict) and value:
        rows = [f"{deeper}{json.dumps(key)}: {_write(one, deeper)}" for key, one in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        rows = [f"{deeper}{_write(one, deeper)}" for one in value]
        return "[\n" + ",\n".join(rows) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)

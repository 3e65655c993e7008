"""The OpenAPI 3.0 schema, generated in process, and answers held against it.

OpenAPI 3.0's `nullable` is no word of JSON Schema: it is turned into a type that may be null. An object whose
properties are listed may have no others, so that a field that nobody described is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema

from tests.api.callers import Answer

_FORMATS = jsonschema.FormatChecker(("date", "uuid"))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: Any) -> bool:
    """A moment with its zone."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class Published:
    """The published schema."""

    def __init__(self, document: dict[str, Any], complaints: list[str]) -> None:
        self.document = document
        self.complaints = complaints

    @classmethod
    def generate(cls) -> Published:
        """What `manage.py spectacular --validate --fail-on-warn` makes, with its warnings and errors."""
        from drf_spectacular.drainage import GENERATOR_STATS
        from drf_spectacular.generators import SchemaGenerator
        from drf_spectacular.validation import validate_schema

        GENERATOR_STATS.reset()
        with GENERATOR_STATS.silence():
            document = SchemaGenerator().get_schema(request=None, public=True)
        complaints = [
            message
            for cache in (GENERATOR_STATS._warn_cache, GENERATOR_STATS._error_cache)
            for message in cache
        ]
        validate_schema(document)
        return cls(document, complaints)

    def operation(self, method: str, template: str) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][template][method]
        return found

    def wrong(self, method: str, template: str, answer: Answer) -> list[str]:
        """How `answer` differs from what is published for it; nothing for a true description."""
        responses = self.operation(method, template)["responses"]
        described = responses.get(str(answer.status))
        if described is None:
            return [f"{method} {template}: status {answer.status} is not described"]
        schema = described.get("content", {}).get(answer.kind, {}).get("schema")
        if schema is None:
            return [f"{method} {template}: {answer.status} with {answer.kind} is not described"]
        return list(self._errors(schema, answer.body, "writeOnly"))

    def wrong_body(self, method: str, template: str, body: Any) -> list[str]:
        """How a request's body differs from what is published for it."""
        content = self.operation(method, template)["requestBody"]["content"]
        return list(self._errors(content["application/json"]["schema"], body, "readOnly"))

    def _errors(self, schema: dict[str, Any], value: Any, foreign: str) -> Iterator[str]:
        """`foreign` marks what belongs to the other direction: a request has no `readOnly` property."""
        whole = {**_plain(schema, foreign), "components": _plain(self.document["components"], foreign)}
        checker = jsonschema.Draft202012Validator(whole, format_checker=_FORMATS)
        for error in checker.iter_errors(value):
            yield f"{error.json_path}: {error.message}"


def _plain(node: Any, foreign: str) -> Any:
    """OpenAPI 3.0 -> JSON Schema."""
    if isinstance(node, list):
        return [_plain(one, foreign) for one in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value, foreign) for key, value in node.items() if key != "nullable"}
    # In 3.0 these two are marks on the limit, in JSON Schema they are limits.
    for mark, limit in (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum")):
        if plain.get(mark) is True:
            plain[mark] = plain.pop(limit)
    if isinstance(plain.get("properties"), dict) and plain.get("type") == "object":
        plain.setdefault("additionalProperties", False)
        for name in [name for name, one in node["properties"].items() if one.get(foreign)]:
            del plain["properties"][name]
            plain["required"] = [one for one in plain.get("required", ()) if one != name]
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain

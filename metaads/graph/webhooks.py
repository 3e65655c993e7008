"""What Meta sends to us: signatures, signed requests, and change notices.

    raw bytes + X-Hub-Signature-256 -> verify -> (stored raw by the caller) -> parse -> Events
    signed_request                  -> parse_signed_request -> {"user_id": ...}

Every check runs over the raw bytes (Meta escapes non-ASCII before it signs) and in constant time; several
secrets may be valid while one is being rotated. Source: docs/meta.md, sections 2.6 and 9. PURE: no Django,
no clock, no I/O.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

MAX_EVENTS: Final = 10_000  # Meta sends up to 1,000 a notice


class BadSignedRequest(ValueError):
    """A signed_request that is malformed, signed by somebody else, or signed in another way. The text
    quotes nothing."""


class BadNotice(ValueError):
    """A webhook body that is not Meta's envelope."""


@dataclass(frozen=True)
class Event:
    """One change that Meta tells about. It says *what to re-read*, never what the new value is.

    `object` is ad_account, application, permissions, ...; `entry_id` the account (digits), user or app.
    `time` is unix seconds or None. `key` is equal for a repeated delivery of the same change
    (at-least-once, in any order).
    """

    object: str
    entry_id: str
    time: int | None
    field: str
    value: Any = dataclasses.field(repr=False)
    key: str


def verify(body: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Check X-Hub-Signature-256 ("sha256=<hex>") over the raw body. False for anything malformed; never
    raises."""
    match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", header.strip() if isinstance(header, str) else "")
    if match is None:
        return False
    given = match.group(1).lower().encode("ascii")
    good = False
    for secret in secrets:  # no early exit: the time must not tell which secret matched
        expected = hmac.new(secret.encode("utf-8"), body, hashlib.sha256).hexdigest().encode("ascii")
        good |= bool(secret) and hmac.compare_digest(given, expected)
    return good


def parse_signed_request(value: str, secrets: Sequence[str]) -> dict[str, Any]:
    """Read a deauthorise or data-deletion request: b64url(signature) "." b64url(json), HMAC-SHA256 over the
    *encoded* json.

    Returns the payload; its `user_id` is a string of digits. Raises BadSignedRequest.
    """
    signature_text, dot, payload_text = value.partition(".") if isinstance(value, str) else ("", "", "")
    if not dot or len(value) > 16384:
        raise BadSignedRequest("a signed request has two parts")
    signature = _decode(signature_text)
    good = False
    for secret in secrets:
        expected = hmac.new(
            secret.encode("utf-8"), payload_text.encode("utf-8", "replace"), hashlib.sha256
        ).digest()
        good |= bool(secret) and hmac.compare_digest(signature, expected)
    if not good:
        raise BadSignedRequest("the signature does not match")
    try:
        payload = json.loads(_decode(payload_text))
    except (ValueError, RecursionError):
        raise BadSignedRequest("the payload is not JSON") from None
    if not isinstance(payload, dict) or payload.get("algorithm") != "HMAC-SHA256":
        raise BadSignedRequest("the algorithm is not HMAC-SHA256")
    user_id = payload.get("user_id")
    if not isinstance(user_id, str) or not re.fullmatch(r"[0-9]{1,30}", user_id):
        raise BadSignedRequest("the user id is not a string of digits")
    return payload


def parse(body: bytes) -> list[Event]:
    """Normalise one notice. Odd entries are skipped, an odd envelope raises BadNotice: a notice only wakes
    a read."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise BadNotice("the notice is not JSON") from None
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("object"), str)
        or not isinstance(data.get("entry"), list)
    ):
        raise BadNotice("the notice has no object and entry")
    events: list[Event] = []
    for entry in data["entry"]:
        for event in _events(data["object"], entry):
            if len(events) < MAX_EVENTS:
                events.append(event)
    return events


def _events(kind: str, entry: object) -> Iterator[Event]:
    if not isinstance(entry, dict):
        return
    entry_id = entry.get("id", entry.get("uid"))
    if isinstance(entry_id, bool) or not isinstance(entry_id, (str, int)):
        return
    time = entry.get("time")
    moment = time if isinstance(time, int) and not isinstance(time, bool) else None
    changes = entry.get("changes")
    for change in changes if isinstance(changes, list) else []:
        if isinstance(change, dict) and isinstance(change.get("field"), str):
            yield _event(kind, str(entry_id), moment, change["field"], change.get("value"))
    # Subscribed without include_values, Meta names the fields only (object=permissions and user).
    names = entry.get("changed_fields")
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str):
            yield _event(kind, str(entry_id), moment, name, None)


def _event(kind: str, entry_id: str, time: int | None, name: str, value: Any) -> Event:
    canonical = json.dumps([kind, entry_id, time, name, value], sort_keys=True, separators=(",", ":"))
    key = hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
    return Event(object=kind, entry_id=entry_id, time=time, field=name, value=value, key=key)


def _decode(text: str) -> bytes:
    """Decode base64url without padding, strictly: one text for one value, so that no second spelling passes."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise BadSignedRequest("not base64url")
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise BadSignedRequest("not base64url") from None
    # The last letter has bits that no byte uses; Python would overlook them.
    if base64.urlsafe_b64encode(value).rstrip(b"=") != text.encode("ascii"):
        raise BadSignedRequest("not base64url")
    return value

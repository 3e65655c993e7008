"""Facebook users, access tokens, and what a person granted.

A token is a signed text that carries its user, scopes and times, so the sandbox stores none and a restart forgets none.
What was revoked since lies in the journal and is kept here by user.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import secrets
from typing import Any

ALL_SCOPES = (
    "ads_management",
    "ads_read",
    "business_management",
    "email",
    "pages_read_engagement",
    "pages_show_list",
    "public_profile",
    "read_insights",
)
SHORT_LIFE = 5_400
LONG_LIFE = 5_183_999
DATA_ACCESS = 90 * 86_400
WRITE_TASKS = frozenset({"ADVERTISE", "MANAGE"})


@dataclasses.dataclass(slots=True)
class Person:
    """A Facebook user and the tasks that he has on each ad account."""

    key: str
    id: str
    name: str
    email: str
    kind: str = "USER"
    tasks: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """What a presented token says. ``expires`` 0 = never; ``long`` = long-lived."""

    kind: str
    user: str
    scopes: tuple[str, ...]
    issued: int
    expires: int
    long: bool
    app_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Revocation:
    """All tokens of a user issued up to ``at`` are refused with ``subcode``."""

    at: float
    subcode: int | None


def sign(token: Token, *, secret: str) -> str:
    """A bearer text that tells nothing, as Meta's: no stretch of it is the time or an id that stands elsewhere too."""
    payload = [
        token.kind,
        token.user,
        list(token.scopes),
        token.issued,
        token.expires,
        int(token.long),
        token.app_id,
    ]
    raw = _cover(json.dumps(payload, separators=(",", ":")).encode(), secret)
    return f"EAAS{raw}{_seal(raw, secret)}"


def read(text: str, *, app_id: str, secret: str) -> Token | None:
    """The token behind a bearer text, or None when it is not ours. ``APP_ID|APP_SECRET`` is the app token."""
    if text == f"{app_id}|{secret}":
        return Token(kind="APP", user="", scopes=(), issued=0, expires=0, long=True, app_id=app_id)
    if not text.startswith("EAAS") or len(text) < 60:
        return None
    raw, seal = text[4:-32], text[-32:]
    if not hmac.compare_digest(seal, _seal(raw, secret)):
        return None
    fields: list[Any] = json.loads(_uncover(raw, secret))
    kind, user, scopes, issued, expires, long, app = fields
    return Token(
        kind=kind,
        user=user,
        scopes=tuple(scopes),
        issued=issued,
        expires=expires,
        long=bool(long),
        app_id=app,
    )


def proof(token: str, *, secret: str) -> str:
    """``appsecret_proof`` of a token (reference 2.4)."""
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


_NONCE = 12


def _cover(payload: bytes, secret: str) -> str:
    nonce = secrets.token_bytes(_NONCE)
    return base64.urlsafe_b64encode(nonce + _with_stream(payload, nonce, secret)).rstrip(b"=").decode()


def _uncover(raw: str, secret: str) -> bytes:
    held = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
    return _with_stream(held[_NONCE:], held[:_NONCE], secret)


def _with_stream(text: bytes, nonce: bytes, secret: str) -> bytes:
    stream = hashlib.shake_256(secret.encode() + nonce).digest(len(text))
    return bytes(one ^ other for one, other in zip(text, stream, strict=True))


def _seal(raw: str, secret: str) -> str:
    return hmac.new(secret.encode(), raw.encode(), hashlib.sha256).hexdigest()[:32]


class Codes:
    """Authorisation codes: single use, ten minutes, bound to their redirect address (reference 2.1)."""

    LIFE = 600

    def __init__(self) -> None:
        self._open: dict[str, tuple[Token, str, float]] = {}

    def issue(self, token: Token, *, redirect_uri: str, at: float) -> str:
        """A code for ``token``."""
        code = "AQ" + secrets.token_urlsafe(48)
        self._open[code] = (token, redirect_uri, at + self.LIFE)
        return code

    def redeem(self, code: str, *, redirect_uri: str, at: float) -> Token | str:
        """The token, or the reason of the refusal."""
        held = self._open.pop(code, None)
        if held is None:
            return "This authorization code has been used."
        token, uri, until = held
        if at > until:
            return "This authorization code has expired."
        if uri != redirect_uri:
            return (
                "Error validating verification code. Please make sure your redirect_uri is identical to the one "
                "you used in the OAuth dialog request"
            )
        return token

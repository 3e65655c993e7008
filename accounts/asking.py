"""What Meta says when it is only asked: about our app, about a token, and whether the way there is open.

Nothing is stored and nothing is concluded here; the doctor does that. A refusal or a silence is an answer too (`No`),
never an exception, and its text holds no secret.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlsplit

from django.conf import settings

import metaads.clock as clock
import metaads.gateway as gateway
from metaads.clock import monotonic
from metaads.graph import oauth
from metaads.graph.errors import GraphError, Kind

Said = TypeVar("Said")


@dataclass(frozen=True)
class No:
    """Meta refused, or was not heard. `reached` tells the two apart; `dead` means that it refuses this token."""

    rule: str
    text: str
    advice: str
    reached: bool
    dead: bool


@dataclass(frozen=True)
class Way:
    """One unsigned call: whether anybody answered, what kept it from that, how long it took (seconds), and the time
    that the other side has."""

    open: bool
    trouble: str
    seconds: float
    their_time: datetime | None


def app() -> oauth.TokenInfo | No:
    """Whether Meta takes the app id and secret: the app's own token, asked about itself."""
    return _heard(lambda: oauth.debug_token(gateway.transport(), oauth.app_token(gateway.transport())))


def token(text: str) -> oauth.TokenInfo | No:
    """What Meta says of a token."""
    return _heard(lambda: oauth.debug_token(gateway.transport(), text))


def person(text: str) -> str | No:
    """The name behind a token, from an end point that needs nothing but a good token."""
    return _heard(lambda: str(oauth.me(gateway.transport(), text)["name"]))


def permissions(text: str) -> dict[str, str] | No:
    """The permissions of a token as the person gave or declined them."""
    return _heard(lambda: oauth.permissions(gateway.transport(), text))


def way() -> Way:
    """Call Meta without a token. It refuses that, and whoever refuses has been reached."""
    before = monotonic()
    answer = gateway.transport().request("GET", "me", token=None, fresh=True)
    seconds = monotonic() - before
    opened = answer.status > 0 and answer.kind is not Kind.OK and answer.code is not None
    return Way(
        open=opened,
        trouble="" if opened else _trouble(answer.rule, answer.status),
        seconds=seconds,
        their_time=clock.parsed(answer.headers.get("date", "")),
    )


def host() -> str:
    """The host that all calls go to."""
    return urlsplit(settings.META["graph_url"]).hostname or ""


def _heard(ask: Callable[[], Said]) -> Said | No:
    try:
        return ask()
    except GraphError as error:
        answer = error.answer
        return No(
            rule=answer.rule,
            text=answer.user_message or answer.message or "Meta did not answer.",
            advice=answer.advice,
            reached=answer.status > 0 and answer.code is not None,
            dead=answer.kind is Kind.AUTH,
        )
    except ValueError as error:  # no app is configured, or the address is not one of Meta's
        return No(rule="not_configured", text=f"{error}.", advice="", reached=False, dead=False)


def _trouble(rule: str, status: int) -> str:
    if rule != "not_connected":
        return f"{rule.replace('_', ' ')}{f', HTTP {status}' if status else ''}"
    # Which half failed? The name is looked up once more, and only now that something is wrong.
    try:
        socket.getaddrinfo(host(), urlsplit(settings.META["graph_url"]).port or 443)
    except (OSError, UnicodeError):
        return "the name cannot be resolved"
    return "nobody answers at that address and port"

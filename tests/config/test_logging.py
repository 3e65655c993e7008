"""Whatever logs, and whichever server set logging up before us: no handler is reached without the filter."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from celery.signals import setup_logging
from django.conf import settings
from uvicorn.config import LOGGING_CONFIG

from accounts.redaction import RedactSecrets
from config.celery import app, keep_our_logging

pytestmark = pytest.mark.fault("F91")

LOGGERS = (
    "accounts", "asyncio", "campaigns", "celery", "celery.app.trace", "celery.beat", "celery.task", "celery.worker",
    "channels", "concurrent.futures", "config", "django", "django.db.backends", "django.request", "django.security",
    "django.server", "django.template", "insights", "kombu", "metaads", "multiprocessing", "py.warnings", "redis",
    "requests", "strategies", "urllib3.connectionpool", "uvicorn", "uvicorn.access", "uvicorn.asgi", "uvicorn.error",
    "a name that nobody has thought of",
)  # fmt: skip
OWN = ("", *LOGGERS)


@pytest.fixture
def as_shipped() -> Iterator[None]:
    """Logging as in a server process: uvicorn's own set-up first, then ours, then Celery's."""
    before = {
        name: (list(one.handlers), one.level, one.propagate, list(one.filters), one.disabled)
        for name in OWN
        if (one := logging.getLogger(name))
    }
    for name in OWN:
        logging.getLogger(name).handlers = []
    logging.config.dictConfig(LOGGING_CONFIG)
    logging.config.dictConfig(settings.LOGGING)
    app.log.already_setup = False
    app.log.setup(loglevel="DEBUG", redirect_stdouts=False)
    yield
    for name, (handlers, level, propagate, filters, disabled) in before.items():
        one = logging.getLogger(name)
        one.handlers, one.propagate, one.filters, one.disabled = handlers, propagate, filters, disabled
        one.setLevel(level)


def reached(name: str) -> list[logging.Handler]:
    """The handlers that a record of this logger comes to."""
    found: list[logging.Handler] = []
    one: Any = logging.getLogger(name)
    while one is not None:
        # pytest listens, too; a NullHandler writes nothing
        found += [
            handler
            for handler in one.handlers
            if not type(handler).__module__.startswith("_pytest")
            and not isinstance(handler, logging.NullHandler)
        ]
        one = one.parent if one.propagate else None
    return found


@pytest.mark.parametrize("name", LOGGERS)
def test_every_handler_that_a_record_reaches_has_the_filter(as_shipped: None, name: str) -> None:
    handlers = reached(name)
    assert handlers or name == "uvicorn.access", "an error nobody would read"
    for handler in handlers:
        assert any(isinstance(one, RedactSecrets) for one in handler.filters), (name, handler)


def test_celery_leaves_logging_alone() -> None:
    assert keep_our_logging in [receiver() for _, receiver in setup_logging.receivers if callable(receiver)]


def test_no_log_of_requests_with_their_addresses_is_kept(as_shipped: None) -> None:
    """An OAuth code stands in one of them."""
    assert reached("uvicorn.access") == []

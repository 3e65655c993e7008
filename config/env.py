"""The environment, read once: every variable the product knows, typed, with its default and its meaning.

`VARIABLES` is the one table. `.env.example` is held to it by a test; nothing else reads `os.environ`
(a static test refuses it), so a variable that is not here does not exist.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ

ROOT = Path(__file__).resolve().parent.parent


class BadEnvironment(Exception):
    """A variable has a value that cannot be used; the text names it and says what to write."""


@dataclass(frozen=True)
class Variable:
    name: str
    kind: type
    default: object
    meaning: str
    secret: bool = False
    aliases: tuple[str, ...] = ()


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "PUBLIC_URL",
        str,
        "http://127.0.0.1:8000",
        "Where people reach this installation, without a trailing slash",
    ),
    Variable("PRODUCTION", bool, False, "true: refuse generated keys, insecure addresses and DEBUG"),
    Variable(
        "DEBUG",
        bool,
        False,
        "true: tracebacks in the browser, and a log line for each call to Meta (never with secrets)",
    ),
    Variable(
        "SECRET_KEY", str, "", "Django's signing key; generated into VAR_DIR/keys when empty", secret=True
    ),
    Variable(
        "FERNET_KEYS",
        list,
        [],
        "Keys of the encrypted columns, newest first, comma separated; generated when empty",
        secret=True,
    ),
    Variable(
        "JWT_PRIVATE_KEY",
        str,
        "",
        "PEM of the RSA key that signs API tokens; generated when empty",
        secret=True,
    ),
    Variable(
        "DATABASE_URL",
        str,
        "",
        "postgres://user:password@host:5432/name; empty: SQLite in VAR_DIR",
        secret=True,
    ),
    Variable("REDIS_URL", str, "", "redis://host:6379/0; empty: everything runs in one process", secret=True),
    Variable("VAR_DIR", str, "var", "Everything that is written lies under this folder"),
    Variable("META_APP_ID", str, "", "The Meta app's id", aliases=("NEXT_PUBLIC_META_APP_ID",)),
    Variable("META_APP_SECRET", str, "", "The Meta app's secret", secret=True),
    Variable(
        "META_APP_SECRET_PREVIOUS",
        str,
        "",
        "During a rotation: the secret before; signatures of both are accepted",
        secret=True,
    ),
    Variable("META_GRAPH_URL", str, "https://graph.facebook.com", "Graph API without the version"),
    Variable(
        "META_DIALOG_URL", str, "https://www.facebook.com", "Host of the login dialog, without the version"
    ),
    Variable("META_GRAPH_VERSION", str, "v26.0", "Graph API version, one place for every call"),
    Variable(
        "META_SCOPES",
        list,
        ["ads_read", "ads_management", "business_management", "read_insights"],
        "Permissions asked for, comma separated",
    ),
    Variable(
        "META_REDIRECT_PATH",
        str,
        "/auth/meta/callback",
        "Path of the OAuth redirect, as entered in the Meta app's settings",
    ),
    Variable(
        "META_WEBHOOK_VERIFY_TOKEN", str, "", "The verify token of the webhook subscription", secret=True
    ),
    Variable(
        "FACEBOOK_SIGN_IN",
        bool,
        False,
        "true: clients' approvers and viewers may sign in with a Facebook account that they linked",
    ),
    Variable(
        "POLLING",
        bool,
        True,
        "false: no ad account is looked at by itself, as if its looks were stopped; spend limits stay watched",
    ),
    Variable("POLL_SECONDS", int, 30, "How often insights are checked; 30 is the minimum"),
    Variable(
        "SETTLE_SECONDS", int, 120, "How long an unanswered write may still land; production refuses under 60"
    ),
    Variable(
        "LOOKBACK_DAYS",
        int,
        28,
        "How many past days are read again each day (Meta restates for 28; 7 where only spend matters)",
    ),
    Variable(
        "FIRST_SYNC_DAYS", int, 90, "How many days of a new ad account are read, newest first (up to 1120)"
    ),
    Variable(
        "EMAIL_URL",
        str,
        "",
        "smtp+tls://user:password@host:587 (or smtp+ssl://, port 465); empty: mails are written under VAR_DIR/mail",
        secret=True,
    ),
    Variable("DEFAULT_FROM_EMAIL", str, "metaads@localhost", "Sender of mails"),
    Variable(
        "SILENCE_HOURS", int, 6, "After so many hours without a good answer for an ad account people are told"
    ),
    Variable("TRUSTED_PROXIES", int, 0, "How many reverse proxies stand before the web server"),
    Variable("ALLOWED_HOSTS", list, [], "Host names served besides the one of PUBLIC_URL, comma separated"),
    Variable(
        "BUILD_ID", str, "", "Build that is recorded with every write attempt; the package version when empty"
    ),
    Variable(
        "LOG_LEVEL", str, "", "DEBUG, INFO, WARNING or ERROR; empty: INFO, or DEBUG where DEBUG is true"
    ),
)


def read(source: Mapping[str, str] | None = None, *, files: bool = True) -> dict[str, object]:
    """All variables with their typed values.

    `source` is the environment (default: the process's); with `files`, a `.env` beside `manage.py` fills gaps.
    Raises `BadEnvironment` that names the variable and what it takes.
    """
    if source is None:
        source = os.environ
    values: dict[str, str] = {}
    dotenv = ROOT / ".env"
    if files and dotenv.is_file():
        # `read_env` writes to the class's ENVIRON, which is the process's own environment if not replaced.
        file: Any = type("File", (environ.Env,), {"ENVIRON": values})
        file.read_env(str(dotenv))
    values.update(source)
    reader = environ.Env()
    reader.ENVIRON = values
    return {variable.name: _one(reader, variable) for variable in VARIABLES}


def _one(reader: environ.Env, variable: Variable) -> object:
    for name in (variable.name, *variable.aliases):
        raw = reader.ENVIRON.get(name)
        if raw is None or raw == "":
            continue
        if variable.kind is bool and raw.strip().lower() not in {
            "true",
            "false",
            "1",
            "0",
            "yes",
            "no",
            "on",
            "off",
        }:
            raise BadEnvironment(f"{name} must be true or false.")
        try:
            value = reader.get_value(name, cast=variable.kind)
        except (ValueError, TypeError):
            raise BadEnvironment(f"{name} must be a {_words(variable.kind)}: {variable.meaning}.") from None
        if variable.kind is list:
            value = [item.strip() for item in value if item.strip()]
        return value
    return list(variable.default) if isinstance(variable.default, list) else variable.default


def _words(kind: type) -> str:
    return {int: "whole number", bool: "true or false", str: "text", list: "comma separated list"}[kind]

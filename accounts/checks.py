"""System checks of this floor: wrong combinations are named before they hurt."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

import accounts.rotation as rotation


@register("accounts")
def fernet_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Every key of the encrypted columns must be a real Fernet key: 32 bytes, url-safe base64."""
    found: list[CheckMessage] = []
    for number, key in enumerate(settings.FERNET_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            found.append(
                Error(
                    f"FERNET_KEYS: key {number} is no Fernet key.",
                    hint="32 random bytes in url-safe base64: cryptography's Fernet.generate_key() makes one.",
                    id="accounts.E001",
                )
            )
    return found


@register("accounts")
def redirect(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The OAuth redirect is a path of this site, and Meta takes plain http for localhost only."""
    path = settings.META["redirect_path"]
    found: list[CheckMessage] = []
    if not path.startswith("/") or path.startswith("//") or "?" in path or "#" in path:
        found.append(Error("META_REDIRECT_PATH is a path like /auth/meta/callback.", id="accounts.E002"))
    local = settings.PUBLIC_URL.startswith(("http://localhost", "http://127.0.0.1"))
    if not settings.SECURE and not local:
        found.append(
            Warning(
                "PUBLIC_URL is plain http: Meta refuses such a redirect URI.",
                hint="Put a proxy with a certificate before it and set PUBLIC_URL to https://…",
                id="accounts.W001",
            )
        )
    return found


@register("accounts")
def scopes(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Without one of these two permissions no ad account can be read."""
    if {"ads_read", "ads_management"} & set(settings.META["scopes"]):
        return []
    return [Error("META_SCOPES asks for neither ads_read nor ads_management.", id="accounts.E003")]


#: How django-environ names the ways a mail may go; a scheme that it does not know would be SMTP without a word.
_MAIL_SCHEMES = (
    "smtp",
    "smtp+tls",
    "smtps",
    "smtp+ssl",
    "filemail",
    "consolemail",
    "memorymail",
    "dummymail",
)


@register("accounts")
def mails(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Whether people can be reached, and the mail server's password is not sent in clear."""
    found: list[CheckMessage] = []
    if settings.SILENCE_HOURS < 1:
        found.append(Error("SILENCE_HOURS is 1 or more.", id="accounts.E005"))
    url = urlsplit(settings.ENV["EMAIL_URL"])
    hint = "Write smtp+tls://user:password@host:587 or smtp+ssl://user:password@host:465."
    if not url.scheme:
        if settings.PRODUCTION:
            text = (
                "EMAIL_URL is empty: invitations and alerts are written under VAR_DIR/mail and reach nobody."
            )
            found.append(Warning(text, hint=hint, id="accounts.W002"))
    elif url.scheme not in _MAIL_SCHEMES:
        found.append(Error("EMAIL_URL names no way that mails can go.", hint=hint, id="accounts.E006"))
    elif url.query:
        found.append(
            Error("EMAIL_URL takes no options after a question mark.", hint=hint, id="accounts.E007")
        )
    elif url.scheme == "smtp" and url.password and url.hostname not in ("localhost", "127.0.0.1"):
        text = "EMAIL_URL would send the mail server's password unencrypted."
        found.append(Error(text, hint=hint, id="accounts.E008"))
    return found


@register(Tags.database)
def stored_keys(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every stored token must open with a key of the list. `migrate` asks this first, so a start with a wrong
    key ends here, before anything is written under it."""
    if not databases:
        return []
    try:
        missing = rotation.missing() if rotation.tables_exist() else ""
    except (DatabaseError, ValueError):  # both have a check of their own
        return []
    return [Error(missing, id="accounts.E004")] if missing else []

"""API keys of servers and scripts: `mak_<prefix>_<secret>`, shown once; only a keyed hash is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.crypto import constant_time_compare

import accounts.access as access
import accounts.audit as audit
from accounts.errors import Invalid, NotFound
from accounts.models import ApiKey, User
from accounts.tenancy import Principal

PREFIX = "mak_"
_USED_EVERY = timedelta(minutes=1)


def issue(
    *,
    user: User,
    name: str,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
    principal: Principal,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key that acts as `user`; the second value is the key itself, never to be seen again.

    Raises `Invalid` for a scope that is no verb of the permission table.
    """
    unknown = sorted(set(scopes) - set(access.VERBS))
    if unknown:
        raise Invalid(f"There is no such scope: {', '.join(unknown)}.", code="unknown_scope")
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    text = f"{PREFIX}{prefix}_{secret}"
    key = ApiKey.objects.create(
        user=user, name=name, prefix=prefix, digest=_digest(text), scopes=list(scopes), expires_at=expires_at
    )
    audit.record(principal=principal, client=None, verb="issue_key", subject=prefix, now=now, user=user.pk)
    return key, text


def find(*, secret: str, now: datetime) -> ApiKey | None:
    """The live key behind `secret`, its user loaded and active; None for everything else."""
    prefix = secret.removeprefix(PREFIX).partition("_")[0]
    key = ApiKey.objects.select_related("user").filter(prefix=prefix, revoked_at__isnull=True).first()
    digest = key.digest if key else "0" * 64
    if not constant_time_compare(_digest(secret), digest) or key is None or not key.user.is_active:
        return None
    if key.expires_at is not None and key.expires_at <= now:
        return None
    if key.last_used_at is None or now - key.last_used_at >= _USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def revoke(*, user: User, prefix: str, principal: Principal, now: datetime) -> None:
    """End a key; its next request is refused."""
    rows = ApiKey.objects.filter(user=user, prefix=prefix, revoked_at__isnull=True)
    if not rows.update(revoked_at=now):
        raise NotFound("There is no such API key.")
    audit.record(principal=principal, client=None, verb="revoke_key", subject=prefix, now=now, user=user.pk)


def _digest(text: str) -> str:
    """Keyed with SECRET_KEY, so that a stolen table alone does not let anybody test guesses."""
    return hmac.new(settings.SECRET_KEY.encode(), f"api-key:{text}".encode(), hashlib.sha256).hexdigest()

"""What the agency asks of a role before it may work: a second factor at sign-in.

    RolePolicy.mfa_required, by role -> refused(users) -> mfa_missing(user), refusal(user)
        a page        -> the page that says how to set one up; nothing else opens until then
        API, socket   -> 403 with the code mfa_required

Roles of the agency that may move money are asked for one (`should_ask`) where nothing requires it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Exists, OuterRef

import accounts.access as access
import accounts.audit as audit
from accounts.errors import Forbidden, Invalid
from accounts.models import Membership, Role, RolePolicy, User
from accounts.tenancy import Principal

#: Verbs that move money at Meta.
_SPENDS: Final = ("request_change", "approve")
#: What counts as a second factor: an authenticator app, a passkey. Recovery codes alone replace neither.
_FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class MfaRequired(Forbidden):
    """The role asks for a second factor, and this person has none yet."""

    code = "mfa_required"
    advice = "Sign in to the web pages and set up an authenticator app or a passkey; then try again."


def mfa_missing(user: Any) -> bool:
    """Whether a role of this person requires a second factor and none is set up; mostly one query."""
    return isinstance(user, User) and user.pk in refused([user.pk])


def refusal(user: Any) -> MfaRequired | None:
    """Why this person may do nothing yet; None when nothing stands in the way."""
    if mfa_missing(user):
        return MfaRequired("Your role needs a second step at sign-in, and you have not set one up.")
    return None


def refused(users: Iterable[int]) -> frozenset[int]:
    """Those of the given user ids who may do nothing yet: see `refusal`. Mostly one query, for all of them."""
    required = RolePolicy.objects.filter(mfa_required=True).values("role")
    rows = Membership.objects.filter(user__in=list(users), role__in=required)
    asked = frozenset(rows.values_list("user_id", flat=True))
    return asked - with_mfa(asked) if asked else asked


def has_mfa(user: User) -> bool:
    """Whether an authenticator app or a passkey is set up."""
    return user.pk in with_mfa([user.pk])


def with_mfa(users: Iterable[int]) -> frozenset[int]:
    """Those of the given user ids who have a second factor."""
    rows = Authenticator.objects.filter(user_id__in=list(users), type__in=_FACTORS)
    return frozenset(rows.values_list("user_id", flat=True))


def should_ask(user: Any) -> bool:
    """Whether to suggest a second factor: an agency role that may move money, and none set up."""
    if not isinstance(user, User) or not user.is_staff:
        return False
    factors = Authenticator.objects.filter(user=OuterRef("user"), type__in=_FACTORS)
    rows = Membership.objects.filter(~Exists(factors), user=user, role__in=spending_roles())
    return rows.exists()


def spending_roles() -> frozenset[str]:
    """Agency roles that may move money."""
    return frozenset(role for role in access.AGENCY if any(role in access.VERBS[verb] for verb in _SPENDS))


def listing() -> list[tuple[Role, bool]]:
    """Every role, and whether it must have a second factor."""
    required = set(RolePolicy.objects.filter(mfa_required=True).values_list("role", flat=True))
    return [(role, role in required) for role in Role]


def require_mfa(*, role: str, required: bool, principal: Principal, now: datetime) -> None:
    """Say whether a role must have a second factor. Owners only; it holds from the next request."""
    access.require_owner(principal)
    if role not in Role.values:
        raise Invalid(f"A role is one of {', '.join(Role.values)}.", code="unknown_role")
    with transaction.atomic():
        RolePolicy.objects.update_or_create(
            role=role,
            defaults={"mfa_required": required, "changed_by_id": principal.user_id, "changed_at": now},
        )
        audit.record(
            principal=principal, client=None, verb="require_mfa", subject=role, now=now, required=required
        )

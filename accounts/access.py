"""The only asker: who may do what to which client.

One table says which role may do which verb; it is closed by default (a verb that is not in it may be done by
nobody). What a principal may not see does not exist for it: `NotFound`, with the same words as for a random id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from accounts.errors import Forbidden, Invalid, NotFound
from accounts.models import AdAccount, Client, Membership, Role, User
from accounts.tenancy import NOBODY, Principal

#: The agency's own roles: they may sign in to the admin, for their clients.
AGENCY = frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.ANALYST})
_CLIENT_SIDE = frozenset({Role.APPROVER, Role.VIEWER})
_EVERYONE = AGENCY | _CLIENT_SIDE | {Role.INTEGRATOR}

#: verb -> roles that may. Closed: a verb that is missing here is refused to all.
VERBS: dict[str, frozenset[str]] = {
    "view": frozenset(_EVERYONE),
    "comment": frozenset(_EVERYONE - {Role.INTEGRATOR}),
    "request_change": frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.INTEGRATOR}),
    "approve": frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.APPROVER}),
    "edit_strategy": frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.INTEGRATOR}),
    "run_strategy": frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.INTEGRATOR}),
    "stop": frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.APPROVER}),
    "release": frozenset({Role.OWNER, Role.MANAGER}),
    "edit_metrics": frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.ANALYST}),
    "sync": frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.INTEGRATOR}),
    "connect": frozenset({Role.OWNER, Role.MANAGER}),
    "manage_people": frozenset({Role.OWNER, Role.MANAGER}),
    "manage_client": frozenset({Role.OWNER, Role.MANAGER}),
    "see_costs": frozenset(AGENCY),
    "act_as": frozenset(AGENCY),
    "operate": frozenset({Role.OWNER}),
}

#: The same table in words, in the order in which people are shown it.
WORDS: dict[str, str] = {
    "view": "See ad accounts, numbers, proposals, changes and alerts",
    "comment": "Write comments",
    "see_costs": "See the agency's own costs and profit",
    "request_change": "Ask for a change of a campaign, budget or bid",
    "approve": "Approve or reject changes and proposals",
    "edit_strategy": "Write and edit strategies",
    "run_strategy": "Run a strategy by hand",
    "edit_metrics": "Write the client's own metrics",
    "sync": "Read anew from Meta",
    "stop": "Stop all changes at once",
    "release": "Let stopped changes pass again",
    "connect": "Connect, renew and disconnect Meta accounts, switch ad accounts on and off",
    "manage_people": "Invite people, change roles below owner, remove people",
    "manage_client": "Change a client's targets and settings",
    "act_as": "View as the client sees it, without changing anything",
    "operate": "Own the installation: all clients, owners, policies, quotas",
}

_ACT = re.compile(r"(?:act_)?(\d{1,38})")
#: (client id, role); an owner's client is None, which means all.
Roles = tuple[tuple[int | None, str], ...]


def roles_of(users: Iterable[int]) -> dict[int, Roles]:
    """The roles of people by user id, in one statement; who has none is left out."""
    found: dict[int, list[tuple[int | None, str]]] = {}
    rows = Membership.objects.filter(user__in=list(users)).values_list("user_id", "client_id", "role")
    for user_id, client_id, role in rows:
        found.setdefault(user_id, []).append((client_id, role))
    return {user_id: tuple(roles) for user_id, roles in found.items()}


def principal_of(
    user: Any,
    *,
    scopes: frozenset[str] | None = None,
    kind: str = "person",
    acting: int | None = None,
    roles: Roles | None = None,
) -> Principal:
    """The principal of a signed-in user; `NOBODY` for an anonymous or switched-off one.

    With `acting`, the id of a client that this person may view as: what that client's viewer sees, and nothing to
    do. Where the person may not (any more), `NOBODY`: to see too little is safe. `roles`: what `roles_of` has just
    read of this person with others; they are read here without it.
    """
    if not isinstance(user, User) or not user.is_active:
        return NOBODY
    if roles is None:
        roles = roles_of([user.pk]).get(user.pk, ())
    own = Principal(kind=kind, user_id=user.pk, name=str(user), roles=roles, scopes=scopes)
    if acting is None:
        return own
    if not may(own, "act_as", acting):
        return NOBODY
    return Principal(
        kind="acting",
        user_id=user.pk,
        name=f"{user}, viewing as the client",
        roles=((acting, Role.VIEWER),),
        scopes=frozenset(),
    )


def system(*clients: Client) -> Principal:
    """The product itself, acting for one client, or for some (a strategy, the watchdog, a scanner)."""
    roles = tuple((client.pk, Role.BUYER) for client in clients)
    return Principal(kind="system", user_id=None, name="metaads", roles=roles)


def may(principal: Principal, verb: str, client: Client | int) -> bool:
    """Whether `principal` may do `verb` at `client`."""
    if principal.scopes is not None and verb not in principal.scopes and verb != "view":
        return False
    at = client if isinstance(client, int) else client.pk
    return bool(principal.roles_at(at) & VERBS.get(verb, frozenset()))


def roles_in_words() -> list[tuple[str, list[tuple[str, bool]]]]:
    """For each verb its words, and for each role (in the order of `Role`) whether it may: the table that is shown."""
    return [(words, [(role, role in VERBS[verb]) for role in Role.values]) for verb, words in WORDS.items()]


def require(principal: Principal, verb: str, client: Client | int) -> None:
    """Raise `NotFound` when the client is not theirs to see, `Forbidden` when the role may not."""
    at = client if isinstance(client, int) else client.pk
    if not principal.roles_at(at):
        raise NotFound("There is no such client.")
    if not may(principal, verb, at):
        raise Forbidden(f"Your role may not do this here ({verb.replace('_', ' ')}).", code=f"may_not_{verb}")


def require_owner(principal: Principal, *, code: str = "may_not_operate") -> None:
    """Raise `Forbidden` for whoever does not own the installation; a narrowed key must name "operate"."""
    narrowed = principal.scopes is not None and "operate" not in principal.scopes
    if not principal.everywhere or narrowed:
        raise Forbidden("Only an owner may do this.", code=code, advice="Ask an owner of this installation.")


def clients(*principals: Principal) -> list[Client]:
    """Clients that `principal` (or any of several) may see, by name; archived ones left out."""
    rows = Client.objects.filter(archived_at__isnull=True)
    if not any(principal.everywhere for principal in principals):
        rows = rows.filter(pk__in=frozenset().union(*(principal.client_ids for principal in principals)))
    return list(rows)


def client(
    principal: Principal, ref: str | None = None, *, verb: str = "view", among: Sequence[Client] | None = None
) -> Client:
    """The client named by `ref` (slug or UUID); without `ref`, the only one there is, else `Invalid` naming them.

    `among`: what `clients` has just answered for this principal and others; it is asked here without it.
    """
    visible = [
        row
        for row in (clients(principal) if among is None else among)
        if principal.everywhere or row.pk in principal.client_ids
    ]
    if ref:
        found = next((row for row in visible if ref in (row.slug, str(row.uuid))), None)
    elif len(visible) == 1:
        found = visible[0]
    elif visible:
        names = ", ".join(row.slug for row in visible)
        advice = f"Add ?client= with one of: {names}."
        raise Invalid("Which client?", code="client_required", advice=advice, errors=[("client", advice)])
    else:
        found = None
    if found is None:
        raise NotFound("There is no such client.")
    require(principal, verb, found)
    return found


def ad_account(principal: Principal, ref: str, *, verb: str = "view") -> AdAccount:
    """The ad account `act_1` or `1`, if it is the principal's to see; its client is loaded with it."""
    match = _ACT.fullmatch(ref or "")
    row = (
        match and AdAccount.objects.for_(principal).select_related("client").filter(meta_id=match[1]).first()
    )
    if not row:
        raise NotFound("There is no such ad account.")
    require(principal, verb, row.client_id)
    return row


def ad_accounts(
    principal: Principal, *, client: Client | None = None, enabled: bool | None = None
) -> list[AdAccount]:
    """Ad accounts that `principal` may see, by name; of one client, or only (not) enabled ones, on demand."""
    rows = (
        AdAccount.objects.for_(principal)
        .select_related("client", "connection")
        .filter(archived_at__isnull=True)
    )
    if client is not None:
        rows = rows.filter(client=client)
    if enabled is not None:
        rows = rows.filter(enabled_at__isnull=not enabled)
    return list(rows.order_by("name"))

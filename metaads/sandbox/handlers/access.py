"""Who is calling, and whether he may (references 2.4, 2.5, 12)."""

from __future__ import annotations

import hmac

from metaads.sandbox.errors import METHOD, GraphError, auth, gone, invalid, no_token, permission
from metaads.sandbox.handlers.call import Call, Desk
from metaads.sandbox.world import people
from metaads.sandbox.world.nodes import Node

# Account states in which ads may be changed: active, and in a grace period (reference 6.1).
OPEN = frozenset({1, 9})


def identify(desk: Desk, call: Call) -> None:
    """Read and check the token, if there is one; sets ``call.token``."""
    text = call.token_text
    if not text:
        return
    given = call.params.pop("appsecret_proof", None)
    token = people.read(text, app_id=desk.app_id, secret=desk.app_secret)
    if token is None:
        raise auth(None)
    if given is not None and not hmac.compare_digest(str(given), people.proof(text, secret=desk.app_secret)):
        raise GraphError(100, "Invalid appsecret_proof provided in the API argument", kind=METHOD)
    refused = desk.world.refusal(token, call.now)
    if refused is not None:
        raise auth(refused or None)
    call.token = token


def person(desk: Desk, call: Call) -> people.Person:
    """The calling user; an app token or no token is refused."""
    if call.token is None:
        raise no_token()
    found = desk.world.person_by_id(call.token.user)
    if found is None:
        raise no_token()
    return found


def may_read(desk: Desk, call: Call, node: Node) -> people.Person:
    """The caller, if he may read the node's account."""
    who = person(desk, call)
    if node.account_id not in who.tasks:
        raise gone(node.id)
    assert call.token is not None
    if not desk.world.granted(call.token) & {"ads_read", "ads_management"}:
        raise permission("Ad account owner has NOT grant ads_management or ads_read permission")
    return who


def may_write(desk: Desk, call: Call, node: Node) -> people.Person:
    """The caller, if he may change the node."""
    who = may_read(desk, call, node)
    assert call.token is not None
    if "ads_management" not in desk.world.granted(call.token):
        raise permission("Requires ads_management permission to manage the object", code=200)
    if not people.WRITE_TASKS & set(who.tasks[node.account_id]):
        raise permission("Permissions error", code=10)
    if int(desk.world.account_of(node).get("account_status", call.now, 1)) not in OPEN:
        raise invalid("This account is not allowed to advertise.", subcode=1404163, title="Account Disabled")
    return who

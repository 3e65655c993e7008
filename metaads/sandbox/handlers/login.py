"""Token end points: ``/oauth/access_token``, ``/debug_token``, ``/me`` and its permissions (reference section 2)."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from metaads.sandbox.errors import GraphError, auth, invalid, no_token, unknown_field
from metaads.sandbox.handlers import access
from metaads.sandbox.handlers.call import OUR_APP_NAME, Call, Desk
from metaads.sandbox.handlers.fields import Field, parse
from metaads.sandbox.world import people


def access_token(desk: Desk, call: Call) -> dict[str, Any]:
    """Code, long-lived and app tokens; the app must prove itself."""
    if call.text("client_id") != desk.app_id:
        raise GraphError(
            101, "Error validating application. Cannot get application info due to a system error."
        )
    grant = call.text("grant_type", "authorization_code")
    if call.text("client_secret") != desk.app_secret:
        raise GraphError(1, "Error validating client secret.", status=400)
    if grant == "client_credentials":
        return {"access_token": f"{desk.app_id}|{desk.app_secret}", "token_type": "bearer"}
    if grant == "fb_exchange_token":
        held = people.read(call.text("fb_exchange_token"), app_id=desk.app_id, secret=desk.app_secret)
        if held is None:
            raise auth(None)
        refused = desk.world.refusal(held, call.now)
        if refused is not None:
            raise auth(refused or None)
        return _bearer(desk, dataclasses.replace(held, long=True), call, life=people.LONG_LIFE)
    found = desk.world.codes.redeem(call.text("code"), redirect_uri=call.text("redirect_uri"), at=call.now)
    if isinstance(found, str):
        raise GraphError(
            100, found, subcode=36009 if "used" in found else 36008 if "redirect_uri" in found else 36007
        )
    return _bearer(desk, found, call, life=people.SHORT_LIFE)


def _bearer(desk: Desk, token: people.Token, call: Call, *, life: int) -> dict[str, Any]:
    issued = int(call.now)
    endless = token.kind == "SYSTEM_USER" and call.text("set_token_expires_in_60_days") != "true"
    expires = 0 if endless else issued + life
    fresh = dataclasses.replace(token, issued=issued, expires=expires)
    body: dict[str, Any] = {
        "access_token": people.sign(fresh, secret=desk.app_secret),
        "token_type": "bearer",
    }
    if expires:
        body["expires_in"] = life
    return body


def debug_token(desk: Desk, call: Call) -> dict[str, Any]:
    """What a token is; needs the app token or a token of the same app."""
    if call.token is None:
        raise no_token()
    text = call.text("input_token")
    if not text:
        raise invalid("(#100) The parameter input_token is required")
    token = people.read(text, app_id=desk.app_id, secret=desk.app_secret)
    if token is None:
        error = {"code": 190, "message": "Invalid OAuth access token.", "subcode": 467}
        return {"data": {"error": error, "is_valid": False, "scopes": []}}
    refused = desk.world.refusal(token, call.now)
    person = desk.world.person_by_id(token.user)
    data: dict[str, Any] = {"app_id": token.app_id, "type": token.kind, "application": OUR_APP_NAME}
    authorised = desk.world.authorised_at.get(token.user, float(token.issued))
    data["data_access_expires_at"] = int(authorised) + people.DATA_ACCESS if token.kind == "USER" else 0
    if refused is not None:
        shown = auth(refused or None)
        data["error"] = {"code": shown.code, "message": shown.message} | (
            {"subcode": refused} if refused else {}
        )
    data["expires_at"] = token.expires
    if token.long and token.kind != "APP":
        data["issued_at"] = token.issued
    data["is_valid"] = refused is None
    scopes = sorted(desk.world.granted(token))
    data["scopes"] = scopes
    if person is not None:
        targets = [account.removeprefix("act_") for account in person.tasks]
        data["granular_scopes"] = [
            {"scope": scope, "target_ids": targets}
            if scope in ("ads_management", "ads_read")
            else {"scope": scope}
            for scope in scopes
        ]
        data["user_id"] = person.id
    return {"data": data}


def token_info(desk: Desk, call: Call) -> dict[str, Any]:
    """``/oauth/access_token_info``: what allauth asks for re-authentication."""
    if call.token is None:
        raise no_token()
    nonce = hashlib.sha256(call.token_text.encode()).hexdigest()[:16]
    return {
        "access_token": call.token_text,
        "token_type": "bearer",
        "auth_type": "reauthenticate",
        "auth_nonce": nonce,
    }


def me(desk: Desk, call: Call) -> dict[str, Any]:
    """The calling user."""
    person = access.person(desk, call)
    return person_body(desk, call, person, parse(call.params.get("fields")))


def person_body(desk: Desk, call: Call, person: people.Person, wanted: tuple[Field, ...]) -> dict[str, Any]:
    """A Facebook user with the requested fields; the e-mail only with its scope."""
    first, _, last = person.name.partition(" ")
    scopes = desk.world.granted(call.token) if call.token else frozenset()
    known: dict[str, Any] = {
        "id": person.id,
        "name": person.name,
        "first_name": first,
        "last_name": last,
        "email": person.email if "email" in scopes else None,
        "short_name": first,
        "picture": {
            "data": {
                "height": 50,
                "is_silhouette": False,
                "url": f"https://cdn.example.com/u/{person.id}.png",
                "width": 50,
            }
        },
    }
    body: dict[str, Any] = {}
    for field in wanted or (Field("name", {}, None, ""),):
        if field.name not in known:
            raise unknown_field(field.name, "User")
        if known[field.name] is not None:
            body[field.key] = known[field.name]
    body["id"] = person.id
    return body


def permissions(desk: Desk, call: Call) -> dict[str, Any]:
    """``GET /me/permissions``, filtered by permission and status."""
    access.person(desk, call)
    assert call.token is not None
    declined = desk.world.declined.get(call.token.user, set())
    names = sorted(set(call.token.scopes) | declined)
    rows = [{"permission": name, "status": "declined" if name in declined else "granted"} for name in names]
    for key in ("permission", "status"):
        if call.params.get(key):
            rows = [row for row in rows if row[key] == call.text(key)]
    return {"data": rows}


def revoke(desk: Desk, call: Call, name: str) -> dict[str, Any]:
    """``DELETE /me/permissions``: one permission, or without a name the whole app (de-authorise)."""
    person = access.person(desk, call)
    if name:
        desk.world.record(at=call.now, kind="grant", user=person.id, granted=[], declined=[name])
    else:
        desk.world.record(at=call.now, kind="revoke", user=person.id, subcode=458)
    return {"success": True}

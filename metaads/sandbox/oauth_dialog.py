"""The login dialog: a page where a person sees who he is and what is asked, and continues or cancels (reference 2.1).

``GET /vX/dialog/oauth`` shows the form; the form's POST redirects back with ``code`` and ``state``, or with
the error quartet.
"""

from __future__ import annotations

import dataclasses
import html
import urllib.parse
from typing import Any

from metaads.sandbox.world import people
from metaads.sandbox.world.state import World

HTML = "text/html; charset=utf-8"
Plain = tuple[int, Any, str, list[tuple[str, str]]]
ALWAYS = "public_profile"
WORDS = {
    "ads_management": "Manage your ads",
    "ads_read": "Read your ads' performance",
    "business_management": "Manage your business",
    "read_insights": "Read insights of your pages and apps",
    "email": "Your e-mail address",
    "public_profile": "Your name",
    "pages_show_list": "Show a list of your pages",
    "pages_read_engagement": "Read your pages' content",
}
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;"
    "background:#eef1f5;color:#111;margin:0;padding:1rem}"
    "main{max-width:26rem;margin:2rem auto;background:#fff;padding:1.5rem;border-radius:.5rem}"
    "button{font:inherit;padding:.6rem 1.2rem;border-radius:.4rem;border:1px solid #888;background:#fff;cursor:pointer}"
    "button.go{background:#0a58ca;border-color:#0a58ca;color:#fff}"
    "fieldset{border:1px solid #ccc;border-radius:.4rem;margin:1rem 0}"
    "label{display:block;padding:.2rem 0}"
    ".note{color:#555;font-size:.85rem}"
)


@dataclasses.dataclass(slots=True)
class Dialog:
    """The dialog of one sandbox."""

    world: World
    app_id: str

    def handle(self, method: str, params: dict[str, Any], *, now: float) -> Plain:
        """The page, or the redirect."""
        if str(params.get("client_id", "")) != self.app_id:
            return _page(
                "Invalid App ID", "<p>The provided app ID does not look like a valid app ID.</p>", status=400
            )
        target = urllib.parse.urlsplit(str(params.get("redirect_uri", "")))
        if target.scheme not in ("http", "https") or not target.netloc:
            return _page(
                "URL blocked",
                "<p>This redirect failed because the redirect URI is missing or not valid.</p>",
                status=400,
            )
        if method != "POST":
            return self._form(params)
        return self._decide(params, now=now)

    def _form(self, params: dict[str, Any]) -> Plain:
        asked = _scopes(params)
        keep = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(str(params.get(name, "")), quote=True)}">'
            for name in ("client_id", "redirect_uri", "state", "scope", "response_type", "config_id")
        )
        keep += '<input type="hidden" name="boxes" value="1">'
        users = "".join(
            f'<label><input type="radio" name="user" value="{person.key}"{" checked" if index == 0 else ""}> '
            f"{html.escape(person.name)}</label>"
            for index, person in enumerate(self.world.people.values())
            if person.kind == "USER"
        )
        scopes = "".join(
            f'<label><input type="checkbox" name="grant_{scope}" value="1" checked'
            f"{' disabled' if scope == ALWAYS else ''}> "
            f'{html.escape(WORDS.get(scope, scope))} <span class="note">{html.escape(scope)}</span></label>'
            for scope in asked
        )
        return _page(
            "Log in with Facebook",
            (
                '<p class="note">Offline sandbox: nothing leaves this machine.</p><form method="post">'
                f"{keep}<fieldset><legend>You are</legend>{users}</fieldset>"
                f"<fieldset><legend>Sandbox App asks for</legend>{scopes}</fieldset>"
                '<button class="go" name="decision" value="continue">Continue</button> '
                '<button name="decision" value="cancel">Cancel</button></form>'
            ),
        )

    def _decide(self, params: dict[str, Any], *, now: float) -> Plain:
        state = str(params.get("state", ""))
        if params.get("decision") != "continue":
            return _redirect(
                params,
                {
                    "error": "access_denied",
                    "error_code": "200",
                    "error_description": "Permissions error",
                    "error_reason": "user_denied",
                    "state": state,
                },
            )
        person = self.world.people.get(str(params.get("user") or next(iter(self.world.people))))
        if person is None:
            return _page("Unknown user", "<p>No such Facebook user in this world.</p>", status=400)
        asked = _scopes(params)
        boxes = [scope for scope in asked if f"grant_{scope}" in params]
        # A plain POST without any box grants everything that was asked for; the page says that it has boxes.
        granted = sorted({*boxes, ALWAYS}) if boxes or "boxes" in params else asked
        declined = [scope for scope in asked if scope not in granted]
        self.world.record(
            at=now, kind="grant", user=person.id, granted=granted, declined=declined, authorised=True
        )
        token = people.Token(
            kind="USER",
            user=person.id,
            scopes=tuple(granted),
            issued=int(now),
            expires=0,
            long=False,
            app_id=self.app_id,
        )
        code = self.world.codes.issue(token, redirect_uri=str(params["redirect_uri"]), at=now)
        answer = {"code": code, "state": state}
        if params.get("return_scopes"):
            answer |= {"granted_scopes": ",".join(granted), "denied_scopes": ",".join(declined)}
        return _redirect(params, answer)


def _scopes(params: dict[str, Any]) -> list[str]:
    raw = str(params.get("scope", "")).replace(",", " ").split()
    return sorted({*(scope for scope in raw if scope.replace("_", "").isalnum()), ALWAYS})


def _redirect(params: dict[str, Any], answer: dict[str, str]) -> Plain:
    parts = urllib.parse.urlsplit(str(params["redirect_uri"]))
    query = urllib.parse.urlencode([*urllib.parse.parse_qsl(parts.query), *answer.items()])
    fragment = "_=_" if "code" in answer else ""
    location = urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path, query, fragment))
    return 302, b"", HTML, [("Location", location)]


def _page(title: str, body: str, *, status: int = 200) -> Plain:
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    return status, text.encode(), HTML, []

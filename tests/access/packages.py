"""allauth's own addresses: what a person does with their own account, and with nobody else's.

Each line: the address as the resolver spells it, then per method (get post put patch delete) the status for whoever
is not signed in there, and for whoever is. `302>` leads to the sign-in. A page knows sessions only; allauth's API
knows bearer tokens only. Nothing is sent along, so what would change something answers with the form's mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.access.people import Who

METHODS = ("get", "post", "put", "patch", "delete")
PAGES, API = "accounts/", "_allauth/"
#: Open to somebody who has to set up a second factor first.
UNGATED = ("accounts/2fa/", "accounts/reauthenticate/", "accounts/logout/")

TABLE = """
accounts/login/                                     200 200 200 405 405           | 302 302 302 302 302
accounts/logout/                                    302> 302> 405 405 405         | 200 302> 405 405 405
accounts/inactive/                                  200 405 405 405 405           | 200 405 405 405 405
accounts/signup/                                    200 200 200 200 200           | 302 302 302 302 302
accounts/reauthenticate/                            302> 302> 302> 302> 302>      | 200 200 200 405 405
accounts/email/                                     302> 302> 302> 302> 302>      | 200 405 405 405 405
accounts/confirm-email/                             200 405 405 405 405           | 200 405 405 405 405
accounts/password/change/                           302> 302> 302> 302> 302>      | 200 200 200 405 405
accounts/password/set/                              302> 302> 302> 302> 302>      | 302 302 302 302 302
accounts/password/reset/                            200 200 200 405 405           | 200 200 200 405 405
accounts/login/code/confirm/                        302> 302> 302> 302> 302>      | 302 302 302 302 302
accounts/confirm-email/(?P<key>[-:\\w]+)/$          200 404 405 405 405           | 200 404 405 405 405
accounts/password/reset/key/done/                   200 405 405 405 405           | 200 405 405 405 405
accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$ 200 200 200 200 200           | 200 200 200 200 200
accounts/password/reset/done/                       200 405 405 405 405           | 200 405 405 405 405
accounts/2fa/                                       302> 302> 302> 302> 302>      | 200 405 405 405 405
accounts/2fa/authenticate/                          302> 302> 302> 302> 302>      | 302 302 302 302 302
accounts/2fa/reauthenticate/                        302> 302> 302> 302> 302>      | 302 302 302 302 302
accounts/2fa/totp/activate/                         302> 302> 302> 302> 302>      | 200 200 200 405 405
accounts/2fa/totp/deactivate/                       302> 302> 302> 302> 302>      | 404 404 404 404 404
accounts/2fa/recovery-codes/                        302> 302> 302> 302> 302>      | 404 405 405 405 405
accounts/2fa/recovery-codes/generate/               302> 302> 302> 302> 302>      | 200 200 200 405 405
accounts/2fa/recovery-codes/download/               302> 302> 302> 302> 302>      | 404 404 404 404 404
accounts/2fa/webauthn/                              302> 302> 302> 302> 302>      | 200 405 405 405 405
accounts/2fa/webauthn/add/                          302> 302> 302> 302> 302>      | 200 200 200 405 405
accounts/2fa/webauthn/reauthenticate/               302> 302> 302> 302> 302>      | 302 302 302 302 302
accounts/2fa/webauthn/keys/<int:pk>/remove/         302> 302> 302> 302> 302>      | 404 404 405 405 404
accounts/2fa/webauthn/keys/<int:pk>/edit/           302> 302> 302> 302> 302>      | 404 404 404 405 405
accounts/2fa/webauthn/login/                        302> 302> 302> 405 405        | 302 302 302 302 302
accounts/3rdparty/login/cancelled/                  200 405 405 405 405           | 200 405 405 405 405
accounts/3rdparty/login/error/                      401 405 405 405 405           | 401 405 405 405 405
accounts/3rdparty/signup/                           302> 302> 302> 302> 302>      | 302> 302> 302> 302> 302>
accounts/3rdparty/                                  302> 302> 302> 302> 302>      | 200 200 200 405 405
accounts/sessions/                                  302> 302> 302> 302> 302>      | 200 302 405 405 405
accounts/facebook/login/                            404 404 404 404 404           | 404 404 404 404 404
_allauth/app/v1/config                              200 405 405 405 405           | 200 405 405 405 405
_allauth/app/v1/auth/session                        401 405 405 405 401           | 200 405 405 405 401
_allauth/app/v1/auth/reauthenticate                 401 401 401 401 401           | 405 400 400 400 400
_allauth/app/v1/auth/code/confirm                   409 409 409 409 409           | 409 409 409 409 409
_allauth/app/v1/auth/password/request               405 400 400 400 400           | 405 400 400 400 400
_allauth/app/v1/auth/password/reset                 400 400 400 400 400           | 400 400 400 400 400
_allauth/app/v1/auth/login                          405 400 400 400 400           | 405 400 400 400 400
_allauth/app/v1/auth/signup                         405 400 405 405 405           | 405 400 405 405 405
_allauth/app/v1/auth/email/verify                   400 400 400 400 400           | 400 400 400 400 400
_allauth/app/v1/auth/email/verify/resend            405 409 405 405 405           | 405 409 405 405 405
_allauth/app/v1/auth/phone/verify                   404 404 404 404 404           | 404 404 404 404 404
_allauth/app/v1/auth/phone/verify/resend            404 404 404 404 404           | 404 404 404 404 404
_allauth/app/v1/account/password/change             401 401 401 401 401           | 405 400 400 400 400
_allauth/app/v1/account/email                       403 403 403 403 403           | 403 403 403 403 403
_allauth/app/v1/account/phone                       404 404 404 404 404           | 404 404 404 404 404
_allauth/app/v1/account/providers                   401 401 401 401 401           | 200 405 405 405 400
_allauth/app/v1/auth/provider/signup                409 409 409 409 409           | 409 409 409 409 409
_allauth/app/v1/auth/provider/redirect              405 403 405 405 405           | 405 403 405 405 405
_allauth/app/v1/auth/provider/token                 405 400 400 400 400           | 405 400 400 400 400
_allauth/app/v1/auth/2fa/authenticate               401 401 401 401 401           | 401 401 401 401 401
_allauth/app/v1/auth/2fa/reauthenticate             401 401 401 401 401           | 405 400 400 400 400
_allauth/app/v1/auth/webauthn/authenticate          401 401 401 401 401           | 401 401 401 401 401
_allauth/app/v1/auth/webauthn/reauthenticate        401 401 401 401 401           | 200 400 405 405 405
_allauth/app/v1/auth/webauthn/login                 200 400 405 405 405           | 200 400 405 405 405
_allauth/app/v1/account/authenticators              401 401 401 401 401           | 200 405 405 405 405
_allauth/app/v1/account/authenticators/totp         401 401 401 401 401           | 404 400 405 405 200
_allauth/app/v1/account/authenticators/recovery-codes 401 401 401 401 401           | 404 400 400 400 400
_allauth/app/v1/account/authenticators/webauthn     401 401 401 401 401           | 401 400 400 405 400
_allauth/app/v1/auth/sessions                       401 401 401 401 401           | 200 405 405 405 400
_allauth/app/v1/tokens/refresh                      405 400 400 400 400           | 405 400 400 400 400
_allauth/openapi.yaml                               200 405 405 405 405           | 200 405 405 405 405
_allauth/openapi.json                               200 405 405 405 405           | 200 405 405 405 405
"""


@dataclass(frozen=True)
class Own:
    """One address of allauth's. `out` and `into`: per method the status for who is not, and who is, signed in there."""

    pattern: str
    out: tuple[str, ...]
    into: tuple[str, ...]

    def __str__(self) -> str:
        return self.pattern

    @property
    def address(self) -> str:
        path = self.pattern.removesuffix("$")
        for piece, sample in (
            ("<int:pk>", "1"),
            ("(?P<key>[-:\\w]+)", "key"),
            ("(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)", "1-key"),
        ):
            path = path.replace(piece, sample)
        return f"/{path}"

    @property
    def page(self) -> bool:
        return self.pattern.startswith(PAGES)

    def signed_in(self, who: Who) -> bool:
        """Whether allauth knows the person here."""
        if self.page:
            return who.by == "no-factor" or (who.seat != "out" and who.browses)
        return who.seat != "out" and who.by == "jwt"

    def expected(self, method: str, who: Who) -> str:
        writes = method != "get"
        if writes and (self.page or self.pattern.startswith("_allauth/openapi")) and not who.has_csrf_token:
            return "403"
        if who.by == "acting" and (self.page or writes) and self.pattern != "accounts/logout/":
            return "403"
        if who.by == "no-factor" and self.page and not self.pattern.startswith(UNGATED):
            return "302"  # to the page that sets one up
        return (self.into if self.signed_in(who) else self.out)[METHODS.index(method)]


OWN: tuple[Own, ...] = tuple(
    Own(line.split()[0], tuple(out.split()[1:]), tuple(into.split()))
    for line in TABLE.strip().splitlines()
    for out, into in (line.split("|"),)
)

"""The agency's admin site: staff only, signed in through the same login (limits, MFA) as everybody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.decorators import secure_admin_login
from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from unfold.sites import UnfoldAdminSite

#: unfold's Alpine evaluates text and its templates style inline; only signed-in staff get this policy.
RELAXED = {
    "script-src": [SELF, UNSAFE_INLINE, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "form-action": [SELF],
}


class OperationsSite(UnfoldAdminSite):
    """Reached at /admin/. Roles decide elsewhere; here `is_staff` opens the door and each admin scopes its rows."""

    enable_nav_sidebar = True

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send a visitor to the product's own login page; refuse a signed-in person who is not staff (403)."""
        return secure_admin_login(super().login)(request, extra_context)  # type: ignore[no-any-return]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        return csp_replace(RELAXED)(super().admin_view(view, cacheable))  # type: ignore[no-any-return]

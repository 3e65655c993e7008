"""A refusal shown as a page that says what happened and what to do next."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

import accounts.connections as connections
from accounts.errors import Refused

View = Callable[..., HttpResponse]


def refusals_as_pages(view: View) -> View:
    """Show a refusal as the page that says what happened and what to do next."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refusal:
            context = {
                "refusal": refusal,
                "redirect_uri": connections.redirect_uri(),
                "scopes": settings.META["scopes"],
            }
            return render(request, "accounts/connect_failed.html", context, status=refusal.status)

    return wrapper

"""A refusal shown as a page that says what happened and what to do next."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

import accounts.pages as pages
from accounts.errors import Refused

View = Callable[..., HttpResponse]


def refusals_as_pages(view: View) -> View:
    """Show a refusal as the page that says what happened and what to do next."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refusal:
            return pages.refused(request, refusal)

    return wrapper

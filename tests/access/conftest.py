"""One furnished world per module of this folder; pytest-django takes back what a test writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.access.people import Callers
from tests.access.world import estate as made
from tests.access.world import grant_for


@pytest.fixture(scope="module")
def estate(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """Northwind and Southwind, furnished; `call(principal, method, path, body)` asks as one of the principals."""
    with django_db_blocker.unblock(), made() as agency:
        agency.call = Callers(agency)
        agency.ids["grant"] = grant_for(agency, session_key=agency.call.session_key("owner"))
        yield agency

"""What several proofs stand on, made once in each process of pytest-xdist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.prove.grid import Lane, opened


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """A founded world in a database of PostgreSQL. `staged` takes it as it was and leaves it so."""
    with opened("postgres", tmp_path_factory.mktemp("lane"), count=1, room="lane") as made:
        yield made[0]

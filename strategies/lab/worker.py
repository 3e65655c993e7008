"""Worlds in processes of their own. Importing this needs no Django: a new process imports it to learn how to begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strategies.lab.trial import Trial

Work = tuple[Path, str, Sequence[str], int, int]


def run(
    source: Path,
    worlds: Sequence[str],
    policies: Sequence[str],
    *,
    days: int,
    warm_up: int,
    jobs: int,
    image: bytes,
) -> Iterator[list[Trial]]:
    """`trial.run` for each world, in their order, `jobs` at a time; `image` as in `memory.database`."""
    work: list[Work] = [(source, name, policies, days, warm_up) for name in worlds]
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(image,)
    ) as pool:
        yield from pool.map(_one, work)


def _begin(image: bytes) -> None:
    """Set the process up, with a database of its own for as long as it lives."""
    import django

    django.setup()
    from strategies.lab import memory

    memory.use(image)


def _one(work: Work) -> list[Trial]:
    from strategies.lab import trial
    from strategies.lab.policies import named

    source, name, policies, days, warm_up = work
    return trial.run(source, name, [named(one) for one in policies], days=days, warm_up=warm_up)

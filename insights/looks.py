"""The look at open sockets: may each go on? Many in one call, so that a thousand idle pages cost next to nothing.

    one opens, is overdue, is told to look ──> at once ─┐
    one that is due, and all that are soon ─────────────┴─> a round: a thread, one set of statements for all of it
        sessions ─> people ─> second factors ─> principals ─> clients ──> an answer for each
        whoever may go on: their ad accounts are watched (`insights.interest`)

What is asked while a round runs is for the next one: whoever asks after a change is never answered from before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from channels.db import database_sync_to_async
from django.db import DatabaseError

import accounts.access as access
import accounts.acting as acting
import accounts.policies as policies
import accounts.sessions as sessions
from accounts.errors import Refused
from accounts.models import Client, User
from accounts.tenancy import Principal
from insights.interest import report_all
from metaads.clock import monotonic, now

#: Close codes of ours: the page stops trying.
NOT_SIGNED_IN: Final = 4401
NO_CLIENT: Final = 4404
#: How long somebody who was seen counts as watching, and how much of that is gone before it is written again.
WATCHING: Final = timedelta(seconds=60)
AGED: Final = timedelta(seconds=20)
#: Sockets of one round: what one that opens may have to wait behind.
ROUND: Final = 500
#: Seconds before its time for which a look is taken along with one that is due.
ALONG: Final = 1.0


@dataclass(frozen=True)
class Asked:
    """Whose socket it is and what it is about: a client (slug or UUID) and an ad account, or whichever there is."""

    session: str
    client: str | None = None
    ad_account: str | None = None


@dataclass(frozen=True)
class Look:
    """The client's id and 0, or 0 and the code to close with. `at`: when the look began, by `monotonic`."""

    client_id: int
    refusal: int
    at: float


def answers(asked: Sequence[Asked], *, now: datetime) -> list[tuple[int, int]]:
    """For each socket its client's id and 0, or 0 and the close code.

    The number of statements depends neither on the sockets nor on whose they are. Raises `DatabaseError`: no answer is
    no leave.
    """
    principals = _principals({one.session for one in asked}, now)
    among = access.clients(*principals.values())
    decided: dict[tuple[Principal, str | None], Client | None] = {}
    watched: set[tuple[Client, str | None]] = set()
    found = []
    for one in asked:
        principal = principals.get(one.session)
        if principal is None:
            found.append((0, NOT_SIGNED_IN))
            continue
        wish = (principal, one.client)
        if wish not in decided:
            decided[wish] = _client(principal, one.client, among)
        client = decided[wish]
        if client is None:
            found.append((0, NO_CLIENT))
        else:
            found.append((client.pk, 0))
            watched.add((client, one.ad_account))
    _watch(watched, now)
    return found


def _principals(keys: set[str], now: datetime) -> dict[str, Principal]:
    """Who is behind each of these sessions; one that is nobody's, or over, is left out."""
    # A fresh look at the sessions: the scope's own copy knows no logout.
    contents = sessions.contents(keys)
    people = sessions.persons([*contents.values()])
    held = [*zip(contents.values(), people, strict=True)]
    refused = policies.refused({user.pk for user in people if isinstance(user, User)})
    return {
        key: principal
        for key, (session, user), principal in zip(
            contents, held, acting.principals(held, now=now), strict=True
        )
        if principal.kind != "nobody"
        and user.pk not in refused
        # No request may come any more that would end it: a socket is no activity, and does not outlive its session.
        and not sessions.left(session=session, user=user, now=now).over
    }


def _client(principal: Principal, ref: str | None, among: Sequence[Client]) -> Client | None:
    try:
        return access.client(principal, ref, among=among)
    except Refused:
        return None


def _watch(watched: set[tuple[Client, str | None]], now: datetime) -> None:
    """Somebody is looking at these ad accounts of these clients (None: at all that are switched on)."""
    seen = {(client.pk, ref) for client, ref in watched}
    accounts = access.ad_accounts(access.system(*{client for client, _ in watched}), enabled=True)
    report_all(
        ad_account_ids=[
            row.pk
            for row in accounts
            if seen & {(row.client_id, None), (row.client_id, row.act_id), (row.client_id, row.meta_id)}
        ],
        reason="watching",
        weight=10,
        until=now + WATCHING,
        unless=now + WATCHING - AGED,
    )


class Guard:
    """Looks for all the sockets of one loop. All of it runs on that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: list[tuple[Asked, asyncio.Future[Look]]] = []
        self._later: list[tuple[float, Asked, asyncio.Future[Look]]] = []
        self._round: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def look(self, asked: Asked, *, within: float = 0.0) -> asyncio.Future[Look]:
        """A look at once, or within so many seconds, beside others; cancel it where it is not wanted any more.

        Raises what went wrong, `DatabaseError` above all.
        """
        answer: asyncio.Future[Look] = self._loop.create_future()
        if within > 0:
            due = self._loop.time() + within
            self._later.append((due, asked, answer))
            self._wait(due)
        else:
            self._asked.append((asked, answer))
            self._begin()
        return answer

    def _wait(self, due: float) -> None:
        """One timer, for the earliest."""
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._come)

    def _come(self) -> None:
        self._timer = None
        along = self._loop.time() + ALONG
        wanted = [one for one in self._later if not one[2].done()]
        self._later = [one for one in wanted if one[0] > along]
        self._asked += [(asked, answer) for due, asked, answer in wanted if due <= along]
        if self._asked:
            self._begin()
        if self._later:
            self._wait(min(due for due, _, _ in self._later))

    def _begin(self) -> None:
        # A task begins in the loop's next turn: all who ask in this one share the round.
        if self._round is None:
            self._round = self._loop.create_task(self._rounds())

    async def _rounds(self) -> None:
        try:
            while self._asked:
                batch, self._asked = self._asked[:ROUND], self._asked[ROUND:]
                if batch := [one for one in batch if not one[1].done()]:
                    await self._look(batch)
        finally:
            self._round = None

    async def _look(self, batch: list[tuple[Asked, asyncio.Future[Look]]]) -> None:
        at = monotonic()
        found: Sequence[tuple[int, int] | Exception]
        try:
            found = await database_sync_to_async(_each)([asked for asked, _ in batch])
        except Exception as error:
            found = [error] * len(batch)
        except BaseException:
            for _, answer in batch:
                answer.cancel()
            raise
        for (_, answer), one in zip(batch, found, strict=True):
            if answer.done():
                continue
            if isinstance(one, Exception):
                answer.set_exception(one)
            else:
                answer.set_result(Look(*one, at))


_guards: dict[asyncio.AbstractEventLoop, Guard] = {}


def guard() -> Guard:
    """The guard of the running loop; a server has one."""
    loop = asyncio.get_running_loop()
    if loop not in _guards:
        for ended in [one for one in _guards if one.is_closed()]:
            del _guards[ended]
        _guards[loop] = Guard(loop)
    return _guards[loop]


def _each(asked: Sequence[Asked]) -> Sequence[tuple[int, int] | Exception]:
    try:
        return answers(asked, now=now())
    except DatabaseError:
        raise  # it is away for all of them
    except Exception as error:
        if len(asked) == 1:
            return [error]
        # One odd session closes no other page.
        return [found for one in asked for found in _each([one])]

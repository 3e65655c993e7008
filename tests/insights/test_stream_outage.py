"""Rights that cannot be read are none: the socket closes and the page comes back, it never stays open and silent."""

import pytest
from channels.db import database_sync_to_async
from django.db import connection

from insights.live import hub, publish
from insights.stream import UNKNOWN
from tests.insights.test_stream import heard, signed_in, socket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@database_sync_to_async
def rename(old, new):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


@pytest.mark.parametrize("recheck", [0.0, 0.1])
async def test_a_socket_whose_rights_cannot_be_read_closes_and_another_opens_afterwards(agency, recheck):
    before = hub.sockets()
    _, cookie = await signed_in(agency.users.bob)
    one = socket(cookie, recheck=recheck)
    assert (await one.connect())[0]
    await rename("django_session", "away")
    try:
        publish(client_id=agency.northwind.pk, topic="insights", id="secret")
        # Nothing of what was published in between comes before the close.
        out = await one.receive_output(timeout=5)
        if recheck and out["type"] == "websocket.send":  # seen within the time of the last good look
            out = await one.receive_output(timeout=5)
        assert out == {"type": "websocket.close", "code": UNKNOWN}
        assert hub.sockets() == before
        await one.disconnect()
    finally:
        await rename("away", "django_session")
    two = socket(cookie)
    assert (await two.connect())[0]
    publish(client_id=agency.northwind.pk, topic="insights", id="act_1")
    assert (await heard(two))["id"] == "act_1"
    await two.disconnect()

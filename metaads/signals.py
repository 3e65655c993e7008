"""Past facts of this floor that other floors may hear; each carries ids only and is sent after commit."""

from django.dispatch import Signal

#: delivery_id: int, object: str, fields: tuple[str, ...], entries: tuple[str, ...] - Meta told us that something
#: changed. `object` is ad_account, application, permissions, ...; `entries` are Meta's ids (of ad accounts: digits).
#: It only says what to read again, never what the new value is; `metaads.inbox.events` has the particulars.
webhook_received = Signal()

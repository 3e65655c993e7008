"""Past facts that other floors may hear; each carries ids only and is sent after commit."""

from django.dispatch import Signal

#: change_id: str (UUID) or None, state: str, client_id: int or None — a change went from one state to
#: another, or
#: (change_id None, state "STOPPED" or "RELEASED") the kill switch moved. client_id None: for all clients.
change_recorded = Signal()

"""Past facts that other floors may hear; each carries ids only and is sent after commit."""

from django.dispatch import Signal

#: ad_account_id: int — a person enabled an ad account. One listener: insights, which syncs structure, then rows.
ad_account_enabled = Signal()

#: user_id: int — what a person may do has changed, they were removed or closed, or a session of theirs has ended. One
#: listener: insights, whose open sockets look at once whether they may go on.
access_changed = Signal()

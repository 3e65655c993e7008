"""Past facts that other floors may hear; each carries ids only and is sent after commit."""

from django.dispatch import Signal

#: ad_account_id: int — a person enabled an ad account. One listener: insights, which syncs structure, then rows.
ad_account_enabled = Signal()

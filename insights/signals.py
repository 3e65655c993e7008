"""Past facts that other floors may hear; each carries ids only and is sent after commit."""

from django.dispatch import Signal

#: ad_account_id: int, data_version: int — rows of this account changed. Sent by `insights.store` only.
data_arrived = Signal()

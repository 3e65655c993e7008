"""The app's start: receivers are connected once."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = "Campaigns and changes"

    def ready(self) -> None:
        import campaigns.receivers  # noqa: F401 - connects itself

"""The app's start: receivers are connected once, and deletions wait for this floor's part."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = "Campaigns and changes"

    def ready(self) -> None:
        import accounts.deletions as deletions
        import campaigns.erasure as erasure
        import campaigns.receivers  # noqa: F401 - connects itself

        deletions.expect(part=erasure.PART, words=erasure.WORDS)

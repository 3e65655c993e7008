from django.apps import AppConfig


class Accounts(AppConfig):
    name = "accounts"
    verbose_name = "People, clients and connections"

    def ready(self) -> None:
        import accounts.checks
        import accounts.receivers  # noqa: F401 - both register themselves

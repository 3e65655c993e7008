from django.apps import AppConfig


class MetaAds(AppConfig):
    name = "metaads"
    verbose_name = "Meta"

    def ready(self) -> None:
        import metaads.checks  # noqa: F401 - registers the system checks

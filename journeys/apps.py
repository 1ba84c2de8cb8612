"""The journeys app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class JourneysConfig(AppConfig):
    name = "journeys"
    verbose_name = "Journeys"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from journeys import checks  # noqa: F401 - importing registers them
        from journeys.permissions import make_groups
        from journeys.tasks import make_partitions, set_up_schedules

        post_migrate.connect(set_up_schedules, sender=self)
        post_migrate.connect(make_groups, sender=self)
        post_migrate.connect(make_partitions, sender=self)

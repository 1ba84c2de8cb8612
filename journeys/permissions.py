"""Two groups to put operators in: Marketer writes journeys, Service reports what happened.

Made when the database is migrated, and from then on the administrators': what they take away is not given again.
"""

from typing import Any

MARKETER = [
    *(
        f"{may}_{what}"
        for what in ("journey", "messagetemplate", "segment")
        for may in ("add", "change", "delete", "view")
    ),
    *(f"view_{what}" for what in ("contact", "event", "message", "stepexecution", "tag", "reward", "userjourney")),
    *(f"{may}_frequencycap" for may in ("add", "change", "delete", "view")),
    *("view_breaker", "delete_breaker"),  # closing them
    *("view_deadletter", "change_deadletter"),  # replaying and dismissing them
]
SERVICE = [
    "add_event",
    *(f"{may}_contact" for may in ("add", "change", "delete", "view")),
    *("view_journey", "view_userjourney"),
]
GROUPS = {"Marketer": MARKETER, "Service": SERVICE}


def make_groups(using: str = "default", **kwargs: Any) -> None:
    """Receives `post_migrate`; django.contrib.auth, which comes first, has made the permissions by then."""
    from django.contrib.auth.models import Group, Permission

    for name, codenames in GROUPS.items():
        group, created = Group.objects.using(using).get_or_create(name=name)
        if created:
            permissions = Permission.objects.using(using)
            group.permissions.set(permissions.filter(content_type__app_label="journeys", codename__in=codenames))

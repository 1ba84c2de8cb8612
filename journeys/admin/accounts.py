"""Operators and groups on unfold's forms, and the background machinery for superusers only."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django_q.admin import FailAdmin as BaseFailAdmin
from django_q.admin import QueueAdmin as BaseQueueAdmin
from django_q.admin import ScheduleAdmin as BaseScheduleAdmin
from django_q.admin import TaskAdmin as BaseTaskAdmin
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

STOCK = ("django.contrib.auth.", "django_q.", "rest_framework_simplejwt.")
"""Whose admin classes are replaced here. A project's own stay as they are."""

for model, registered in list(admin.site._registry.items()):
    if type(registered).__module__.startswith(STOCK):
        admin.site.unregister(model)


class UserAdmin(BaseUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    pass


class SuperusersOnly(ModelAdmin):
    """A schedule names a function that the worker calls: whoever edits one runs code."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    has_change_permission = has_view_permission
    has_delete_permission = has_view_permission

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)


class ScheduleAdmin(SuperusersOnly, BaseScheduleAdmin):
    pass


class SuccessAdmin(SuperusersOnly, BaseTaskAdmin):
    pass


class FailureAdmin(SuperusersOnly, BaseFailAdmin):
    pass


class QueueAdmin(SuperusersOnly, BaseQueueAdmin):
    pass


# Tokens are left out: nobody needs their rows.
PAGES: dict[type[Model], type[ModelAdmin]] = {
    User: UserAdmin,
    Group: GroupAdmin,
    Schedule: ScheduleAdmin,
    Success: SuccessAdmin,
    Failure: FailureAdmin,
    OrmQ: QueueAdmin,
}
for model, page in PAGES.items():
    if not admin.site.is_registered(model):
        admin.site.register(model, page)

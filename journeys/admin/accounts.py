"""Operators and groups on unfold's forms, and the background machinery for superusers only."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django_q.admin import FailAdmin as BaseFailAdmin
from django_q.admin import QueueAdmin as BaseQueueAdmin
from django_q.admin import ScheduleAdmin as BaseScheduleAdmin
from django_q.admin import TaskAdmin as BaseTaskAdmin
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

# Not ours to edit: tokens and login attempts are kept by their own apps, and nobody needs their rows.
HIDDEN = {"token_blacklist", "axes"}

for model in [model for model in admin.site._registry if model._meta.app_label in HIDDEN]:
    admin.site.unregister(model)
for model in (User, Group, Schedule, Success, Failure, OrmQ):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
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


@admin.register(Schedule)
class ScheduleAdmin(SuperusersOnly, BaseScheduleAdmin):
    pass


@admin.register(Success)
class SuccessAdmin(SuperusersOnly, BaseTaskAdmin):
    pass


@admin.register(Failure)
class FailureAdmin(SuperusersOnly, BaseFailAdmin):
    pass


@admin.register(OrmQ)
class QueueAdmin(SuperusersOnly, BaseQueueAdmin):
    pass

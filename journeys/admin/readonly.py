"""Pages over tables that grow without end: read-only, never counted, searched by index."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin

from journeys.models import Contact

PAGE = 50
LAST_PAGE = 100
SEARCHED_CONTACTS = 100


class CountlessPaginator(Paginator):  # type: ignore[type-arg]
    """Pages without a total: the table is never counted. Nobody leafs past the last page; they search."""

    template_name = "journeys/admin/countless.html"

    @cached_property
    def count(self) -> int:
        return self.per_page * LAST_PAGE


class TolerantChangeList(ChangeList):
    """Takes a NUL in an address for what it is: a filter that can't be meant. PostgreSQL would raise."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Any]:
        if any("\x00" in value for values in request.GET.lists() for value in values[1]):
            raise IncorrectLookupParameters("a NUL character")
        return super().get_queryset(request, exclude_parameters)


class CountlessChangeList(TolerantChangeList):
    """Fetches one row more than it shows, and so knows whether there is a next page."""

    has_next = False

    def get_results(self, request: HttpRequest) -> None:
        self.page_num = min(max(self.page_num, 1), LAST_PAGE)
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        start = (self.page_num - 1) * self.list_per_page
        rows = list(self.queryset[start : start + self.list_per_page + 1])
        self.has_next = len(rows) > self.list_per_page and self.page_num < LAST_PAGE
        self.result_list = rows[: self.list_per_page]
        self.result_count = len(self.result_list)
        # Equal numbers are what keeps "50 results" out of the header.
        self.full_result_count, self.show_full_result_count = self.result_count, False
        self.show_admin_actions = True
        self.can_show_all, self.multi_page = False, self.has_next or self.page_num > 1


class ReadOnlyAdmin(ModelAdmin):
    """A list without a count, and a page of its own for each row: `detail_template` with what `detail` gives."""

    paginator = CountlessPaginator
    show_full_result_count = False
    show_facets = 0  # ShowFacets.NEVER: facets count
    list_per_page = PAGE
    sortable_by = ()
    actions: Any = None
    list_filter_submit = False
    list_select_related: Any = ()
    detail_select_related: ClassVar[tuple[str, ...]] = ()
    detail_template: ClassVar[str]
    empty_title: ClassVar[str] = "Nothing here yet"
    empty_text: ClassVar[str] = ""
    change_list_template = "journeys/admin/list.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CountlessChangeList

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        term = search_term.strip()
        return (queryset.filter(self.search(term)) if term else queryset), False

    def search(self, term: str) -> Q:
        """What a search means. Only exact matches and prefixes of indexed columns, so that it stays quick."""
        return Q(contact_id__in=matching_contacts(term))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        related = self.detail_select_related or self.list_select_related
        rows = self.get_queryset(request).select_related(*related) if related else self.get_queryset(request)
        return rows.filter(pk=as_uuid(object_id)).first()

    def detail(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page of one row shows, beside `row`."""
        return {}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "row": obj,
            "title": str(self.opts.verbose_name).capitalize(),
            **self.detail(request, obj),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.detail_template, context)


def matching_contacts(term: str) -> list[UUID]:
    """The first contacts whose id or address starts with `term`."""
    named = Q(user_id__startswith=term) | Q(email__startswith=term)
    return list(Contact.objects.filter(named).values_list("pk", flat=True)[:SEARCHED_CONTACTS])


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None

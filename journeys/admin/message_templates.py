"""Message templates: channel-dependent fields, faults with their line, and a preview that can run no script."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from journeys.actions.render import check
from journeys.admin.preview import known_names, preview
from journeys.admin.readonly import TolerantChangeList
from journeys.authoring.templates import delete_template, save_template, steps_using
from journeys.engine.clock import database_clock
from journeys.models import Channel, Contact, MessageTemplate

PARTS = {
    Channel.EMAIL: ("subject", "html", "text"),
    Channel.TELEGRAM: ("text",),
    Channel.PUSH: ("subject", "text"),
}
NEEDED = {Channel.EMAIL: ("subject", "html"), Channel.TELEGRAM: ("text",), Channel.PUSH: ("subject", "text")}
SAMPLES = 20


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]  # Not generic at run time.
    class Meta:
        model = MessageTemplate
        fields = ("name", "channel", "subject", "html", "text")
        code = {"spellcheck": "false", "data-code": ""}
        widgets = {
            "name": UnfoldAdminTextInputWidget(),
            "channel": UnfoldAdminSelectWidget(),
            "subject": UnfoldAdminTextInputWidget(),
            "html": UnfoldAdminTextareaWidget(attrs={"rows": 18, **code}),
            "text": UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        }
        labels = {"html": "HTML"}
        help_texts = {
            "name": "Steps choose it by this name.",
            "subject": "The subject of an e-mail, the title of a push. Variables: {{ user.first_name }}.",
            "html": "Liquid: {{ user.first_name | default: 'there' }}, {% if plan == 'gold' %}…{% endif %}.",
            "text": "The message; for an e-mail, what readers without HTML see (made from the HTML when empty).",
        }

    def clean(self) -> dict[str, Any]:
        entered = super().clean() or {}
        channel = entered.get("channel")
        if channel not in PARTS:
            return entered
        names: frozenset[str] | None = None
        for part in ("subject", "html", "text"):
            if part not in PARTS[channel]:
                entered[part] = ""  # Another channel's field: hidden on the page.
                continue
            source = entered.get(part) or ""
            if part in NEEDED[channel] and not source.strip():
                self.add_error(part, "This is needed.")
            elif source:
                names = known_names() if names is None else names
                for fault in check(source, names):
                    self.add_error(part, f"Line {fault.line}: {fault.message}")
        self._refuse_renaming(entered)
        return entered

    def _refuse_renaming(self, entered: dict[str, Any]) -> None:
        before = MessageTemplate.objects.filter(pk=self.instance.pk).first() if self.instance.pk else None
        if before is None or (before.channel, before.name) == (entered.get("channel"), entered.get("name")):
            return
        if step := steps_using(before.channel, before.name).first():
            field = "channel" if before.channel != entered.get("channel") else "name"
            fault = (
                f"The step “{step.name}” of “{step.journey.name}” uses “{before.name}”. Choose another one there first."
            )
            self.add_error(field, fault)


@admin.register(MessageTemplate)
class MessageTemplateAdmin(ModelAdmin):
    form = TemplateForm
    fields = ("channel", "name", "subject", "html", "text")
    list_display = ("name", "channel_name", "subject", "updated_at")
    list_display_links = ("name",)
    list_filter = ("channel",)
    search_fields = ("name", "subject")
    search_help_text = "Search by name or subject"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_filter_submit = False
    change_form_template = "journeys/admin/template_form.html"
    change_list_template = "journeys/admin/list.html"
    empty_title = "No templates yet"
    empty_text = "Write an e-mail, Telegram message or push once, and use it in any journey."
    conditional_fields = {"subject": "channel != 'telegram'", "html": "channel == 'email'"}
    compressed_fields = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TolerantChangeList]:
        return TolerantChangeList

    @display(description="Channel")
    def channel_name(self, template: MessageTemplate) -> str:
        return template.get_channel_display()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="journeys_messagetemplate_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What was entered, saved or not, as one contact would get it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        sources = {part: request.POST.get(part, "") for part in ("subject", "html", "text")}
        wanted = request.POST.get("sample", "").replace("\x00", "").strip()
        return preview(request.POST.get("channel", ""), sources, wanted, database_clock())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        newest = Contact.objects.order_by("-id").values_list("user_id", flat=True)[:SAMPLES]
        response: HttpResponse = super().render_change_form(request, {**context, "samples": newest}, *args, **kwargs)
        return response

    def save_model(self, request: HttpRequest, obj: MessageTemplate, form: Any, change: bool) -> None:
        save_template(obj, database_clock())

    def delete_model(self, request: HttpRequest, obj: MessageTemplate) -> None:
        delete_template(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[MessageTemplate]) -> None:
        for template in queryset:
            delete_template(template.pk)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        gone, count, lacking, protected = super().get_deleted_objects(objs, request)
        for template in objs:
            steps = steps_using(template.channel, template.name)
            protected += [f"Step “{step.name}” of “{step.journey.name}” uses it" for step in steps]
        return gone, count, lacking, protected

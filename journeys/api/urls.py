"""The API's paths, without trailing slashes; included below /api/."""

from django.urls import path, re_path, register_converter

from journeys.api import (
    base,
    breakers,
    caps,
    events,
    journeys,
    letters,
    runs,
    segments,
    service,
    starting,
    tokens,
    users,
)

register_converter(base.UuidConverter, "key")
register_converter(base.UserIdConverter, "user")
register_converter(base.TagConverter, "tag")
register_converter(base.DestinationConverter, "destination")

urlpatterns = [
    path("v1/auth/token", tokens.TokenView.as_view()),
    path("v1/auth/refresh", tokens.RefreshView.as_view()),
    path("v1/journeys", journeys.JourneysView.as_view()),
    path("v1/journeys/trigger", events.TriggerView.as_view()),
    path("v1/journeys/execute/<key:run_id>", runs.ExecuteView.as_view()),
    path("v1/journeys/users/<user:user_id>/journeys", runs.UserRunsView.as_view()),
    path("v1/journeys/<key:journey_id>", journeys.JourneyView.as_view()),
    path("v1/journeys/<key:journey_id>/start", starting.StartView.as_view()),
    path("v1/events", events.EventsView.as_view()),
    path("v1/runs/<key:run_id>", runs.RunView.as_view()),
    path("v1/dead-letters", letters.DeadLettersView.as_view()),
    path("v1/dead-letters/replay", letters.ReplayView.as_view()),
    path("v1/dead-letters/dismiss", letters.DismissView.as_view()),
    path("v1/frequency-caps", caps.CapsView.as_view()),
    path("v1/frequency-caps/<key:cap_id>", caps.CapView.as_view()),
    path("v1/breakers", breakers.BreakersView.as_view()),
    path("v1/breakers/<destination:destination>", breakers.BreakerView.as_view()),
    path("v1/users/<user:user_id>", users.UserView.as_view()),
    path("v1/users/<user:user_id>/devices", users.DevicesView.as_view()),
    path("v1/users/<user:user_id>/devices/<key:device_id>", users.DeviceView.as_view()),
    path("v1/users/<user:user_id>/tags", users.TagsView.as_view()),
    path("v1/users/<user:user_id>/tags/<tag:tag>", users.TagView.as_view()),
    path("v1/segments", segments.SegmentsView.as_view()),
    path("v1/segments/<key:segment_id>", segments.SegmentView.as_view()),
    path("v1/segments/<key:segment_id>/size", segments.SizeView.as_view()),
    path("v1/segments/<key:segment_id>/members", segments.MembersView.as_view()),
    path("v1/health", service.HealthView.as_view()),
    path("schema", service.SchemaView.as_view(), name="journeys-api-schema"),
    path("docs", service.DocsView.as_view(), name="journeys-api-docs"),
    re_path("", service.NothingHere.as_view()),
]

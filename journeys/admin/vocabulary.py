"""What the builder suggests: fields that conditions may ask for, tags, and templates. All from small samples."""

from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.template.utils import get_app_template_dirs

from journeys.logic.facts import CONTACT_COLUMNS
from journeys.models import Contact, Event, Journey, MessageTemplate, Segment, Tag

SAMPLE = 200
EMAIL_FILES = Path("journeys") / "email"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Suggestions for one page; `templates` maps a channel to the names there are."""

    fields: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    templates: dict[str, list[str]] = field(default_factory=dict)
    journeys: tuple[tuple[str, str], ...] = ()
    """Ids and names."""
    segments: tuple[str, ...] = ()

    @property
    def contact_fields(self) -> tuple[str, ...]:
        """Those of the fields that need no event."""
        return tuple(name for name in self.fields if name != "segments" and not name.startswith("event."))

    def choices(self, what: str) -> list[tuple[str, str]]:
        """What there is to choose from: `journey`, `segment`, or the templates of that channel."""
        if what == "journey":
            return list(self.journeys)
        names = self.segments if what == "segment" else self.templates.get(what, [])
        return [(name, name) for name in names]


def known_attributes() -> set[str]:
    """Names of attributes that the newest contacts have."""
    newest = Contact.objects.order_by("-id").values_list("attributes", flat=True)[:SAMPLE]
    return {name for attributes in newest for name in attributes}


def known_events() -> tuple[set[str], set[str]]:
    """Names of the newest events, and of the properties that they have."""
    newest = list(Event.objects.order_by("-id").values_list("name", "properties")[:SAMPLE])
    return {name for name, _ in newest}, {name for _, properties in newest for name in properties}


def vocabulary() -> Vocabulary:
    """Everything that can be suggested now, in six queries."""
    attributes = tuple(sorted(known_attributes()))
    columns = [f"user.{name}" for name in CONTACT_COLUMNS]
    names, properties = known_events()
    events = ["event.name", *(f"event.{name}" for name in sorted(properties))]
    templates: dict[str, list[str]] = {"email": email_files()}
    for channel, name in MessageTemplate.objects.values_list("channel", "name"):
        templates.setdefault(channel, []).append(name)
    return Vocabulary(
        fields=(*attributes, "tags", "segments", *columns, *events),
        attributes=attributes,
        events=tuple(sorted(names)),
        journeys=tuple((str(key), name) for key, name in Journey.objects.order_by("name").values_list("id", "name")),
        segments=tuple(Segment.objects.values_list("name", flat=True)),
        tags=tuple(Tag.objects.values_list("name", flat=True)[:SAMPLE]),
        templates={channel: sorted(set(names)) for channel, names in templates.items()},
    )


def email_files() -> list[str]:
    """The e-mails that ship as files, journeys/email/<name>.html in a template folder."""
    folders = [Path(folder) for engine in settings.TEMPLATES for folder in engine["DIRS"]]
    folders += [Path(folder) for folder in get_app_template_dirs("templates")]
    return sorted({file.stem for folder in folders for file in (folder / EMAIL_FILES).glob("[!_]*.html")})

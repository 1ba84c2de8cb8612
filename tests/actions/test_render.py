from typing import Any

import pytest

from journeys.actions.base import PermanentError
from journeys.actions.render import TemplateFault, check, render, render_html
from tests.actions.contexts import make_context

ATTRIBUTES = {
    "first_name": "Ann",
    "plan": "free",
    "address": {"city": "Riga"},
    "items": [1, 2],
    "expires": "2026-03-01T23:30:00Z",
    "birthday": "1990-02-03",
}
FACTS = make_context(attributes=ATTRIBUTES, metadata={"plan": "premium", "empty": None, "user": "x"}).facts
ZIP = 'unknown variable zip: if it may be missing, write zip | default: "…"'
KNOWN = {"user.first_name", "user.plan", "event.amount"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ user.first_name }}", "Ann"),
        ("{{ first_name }}", "Ann"),
        ("{{ plan }}, {{ user.plan }}, {{ event.plan }}", "premium, free, premium"),
        ("{{ user.attributes.address.city }}", "Riga"),
        ("{{ user.email }} {{ event.name }}", "ann@example.com signup"),
        ("{{ tags | join: '-' }} {{ user.tags.first }}", "vip vip"),
        ("{{ missing }}{{ user.missing }}{{ missing.more.still }}{{ empty }}{{ user.last_event_at }}", ""),
        ("{{ missing | default: 'friend' }} {{ user.missing | default: 'x' | upcase }}", "friend X"),
        ("a{{ '%00' | url_decode }}b", "ab"),  # PostgreSQL can't keep it.
        ("{% for item in items %}{{ item }},{% endfor %}{% if plan == 'premium' %}!{% endif %}", "1,2,!"),
    ],
)
def test_a_name_finds_what_a_condition_would_find(source: str, text: str) -> None:
    assert render(source, FACTS) == text


@pytest.mark.parametrize(
    "path",
    ["__class__", "keys", "items.__len__", "first_name.upper", "first_name.__class__.__mro__", "attributes.__init__"],
)
def test_no_python_attribute_can_be_reached(path: str) -> None:
    assert render("{{ user." + path + " }}", FACTS) == ""
    assert render("{{ " + path + " }}", FACTS) == ""


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'now' | date: '%Y-%m-%d %H:%M' }}", "2026-03-01 13:00"),
        ("{{ now | date: '%A' }}", "Sunday"),
        ("{{ expires | date: '%-d %B, %H:%M' }}", "2 March, 00:30"),
        ("{{ birthday | date: '%d.%m.%Y' }}", "03.02.1990"),
        ("{{ 'soon' | date: '%Y' }}{{ missing | date: '%Y' }}", "soon"),
    ],
)
def test_dates_follow_the_runs_clock_and_the_contacts_zone(source: str, text: str) -> None:
    assert render(source, FACTS) == text


def test_html_escapes_values_and_nothing_can_prevent_it() -> None:
    facts = make_context(attributes={"name": "<b>&"}).facts
    assert (
        render_html("<p>{{ name }} {{ name | append: '' | strip }}</p>", facts)
        == "<p>&lt;b&gt;&amp; &lt;b&gt;&amp;</p>"
    )
    assert render("{{ name }}", facts) == "<b>&"
    with pytest.raises(PermanentError, match="safe"):
        render_html("{{ name | safe }}", facts)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("a\n\n{{ 1 | divided_by: 0 }}", "the mail, line 3: divided_by: can't divide by 0"),
        ("{% for i in (1..100000000) %}x{% endfor %}", "loop iteration limit"),
        ("{% for i in (1..9999) %}{{ big }}{% endfor %}", "output stream limit"),
        ("{% assign a = 'xx' %}{% for i in (1..999) %}{% assign a = a | append: a %}{% endfor %}", "namespace limit"),
        ("\n{% if %}", "the mail, line 2: missing expression"),
        ("a\n{{ '+7s=' | base64_decode }}", "the mail, line 2: base64_decode: 'utf-8' codec"),
        ("{{ a | nope }}", "line 1: unknown filter 'nope'"),
        ("{% include 'settings' %}", "unexpected tag 'include'"),
        ("{% extends '../../settings' %}", "there is no layout"),
    ],
)
def test_a_fault_at_run_time_names_template_and_line(source: str, fault: str) -> None:
    facts = make_context(attributes={"big": "x" * 1000}).facts
    with pytest.raises(PermanentError) as caught:
        render(source, facts, "the mail")
    assert str(caught.value).startswith("the mail, line ")
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("Hello {{ user.first_name }}, {{ plan }} {{ amount }} {{ event.amount }} {{ user.email }} {{ now }}", []),
        ("{{ user.tags }}{{ user.attributes.plan }}{{ event.properties.amount }}{{ event.name }}", []),
        ("{% assign x = plan %}{{ x }}{% for tag in tags %}{{ tag }}{{ forloop.index }}{% endfor %}", []),
        ("{{ zip | default: '' }} {{ user.zip | upcase | default: 'x' }}", []),
        ("a\n{{ user.frist_name }}", [(2, "unknown variable user.frist_name: did you mean user.first_name?")]),
        ("{{ email }}", [(1, "unknown variable email: did you mean user.email?")]),
        ("{{ x }}", [(1, 'unknown variable x: if it may be missing, write x | default: "…"')]),
        ("\n\n{% if plan %}", [(3, "expected tag endif, found end of expression")]),
        ("{% extends 'layout' %}\n{% block content %}{{ block.super }}{{ zip }}{% endblock %}", [(2, ZIP)]),
        ("\n{% extends 'nowhere' %}", [(2, "there is no layout 'nowhere'")]),
        ("{{ plan | upcased }}", [(1, "there is no filter 'upcased'")]),
    ],
)
def test_check_finds_faults_by_line(source: str, faults: list[Any]) -> None:
    found = [(fault.line, fault.message) for fault in check(source, KNOWN)]
    assert [(line, message) for line, message in found] == faults


def test_check_without_known_names_looks_at_the_syntax_alone() -> None:
    assert check("{{ anything }}", None) == []
    assert check("x\n{% endif %}", None) == [TemplateFault(2, "unexpected tag 'endif'")]

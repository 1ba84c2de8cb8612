import pytest
from django.urls import reverse

from journeys.models import MessageTemplate
from tests.admin.pages import signed_in
from tests.factories import make_contact, make_journey

pytestmark = pytest.mark.django_db

ADD = "/admin/journeys/messagetemplate/add/"
PREVIEW = "/admin/journeys/messagetemplate/preview/"
GOOD = {"name": "hello", "channel": "email", "subject": "Hi", "html": "<p>Hello</p>", "text": ""}


def make_template(**fields):
    signed_in(superuser=True).post(ADD, {**GOOD, **fields})
    return MessageTemplate.objects.get()


def errors_of(response):
    return {name: list(faults) for name, faults in response.context["adminform"].form.errors.items()}


def test_a_template_is_saved_with_a_key_and_its_times():
    template = make_template()
    assert (template.name, template.html) == ("hello", "<p>Hello</p>")
    assert template.created_at == template.updated_at


@pytest.mark.parametrize(
    ("entered", "field", "said"),
    [
        ({"html": "<p>\n{% if x %}"}, "html", "Line"),
        ({"html": "<p>\n\n{{ user.no_such_thing }}"}, "html", "Line 3: unknown variable user.no_such_thing"),
        ({"subject": "{{ | }}"}, "subject", "Line 1"),
        ({"subject": ""}, "subject", "needed"),
        ({"channel": "telegram", "text": ""}, "text", "needed"),
    ],
)
def test_a_templates_fault_is_said_beside_its_field_with_its_line(entered, field, said):
    response = signed_in(superuser=True).post(ADD, {**GOOD, **entered})
    assert said in errors_of(response)[field][0]
    assert not MessageTemplate.objects.exists()


def test_attributes_that_contacts_have_are_known():
    make_contact(attributes={"first_name": "Ada"})
    assert make_template(html="{{ user.first_name }} {{ first_name }}")


def test_a_name_is_taken_once_per_channel():
    make_template()
    response = signed_in(superuser=True, username="second").post(ADD, GOOD)
    assert "already a template of this name" in str(errors_of(response))
    assert (
        signed_in(superuser=True, username="third").post(ADD, {**GOOD, "channel": "telegram", "text": "Hi"}).status_code
        == 302
    )


def test_a_template_in_use_is_not_renamed_or_deleted():
    template = make_template()
    config = {"template": "hello", "subject": "Hi"}
    make_journey(steps=[{"name": "Greet", "action_type": "send_email", "action_config": config}])
    client = signed_in(superuser=True, username="second")
    url = reverse("admin:journeys_messagetemplate_change", args=[template.pk])
    assert "“Greet” of “Onboarding” uses" in errors_of(client.post(url, {**GOOD, "name": "other"}))["name"][0]
    assert client.post(url, {**GOOD, "subject": "Better"}).status_code == 302
    delete = reverse("admin:journeys_messagetemplate_delete", args=[template.pk])
    assert "uses it" in client.get(delete).rendered_content
    client.post(delete, {"post": "yes"})
    assert MessageTemplate.objects.get().subject == "Better"


def test_the_preview_renders_what_is_not_saved_for_the_chosen_contact():
    make_contact("ada", attributes={"first_name": "Ada <3"})
    make_contact("bob", attributes={"first_name": "Bob"})
    client = signed_in("journeys.view_messagetemplate")
    body = {"channel": "email", "html": "<p>Hello {{ user.first_name }}</p>"}
    assert client.post(PREVIEW, {**body, "sample": "ada"}).content.decode() == "<p>Hello Ada &lt;3</p>"
    assert "Hello" in client.post(PREVIEW, body).content.decode()
    assert "There is no contact “eve”." in client.post(PREVIEW, {**body, "sample": "eve"}).content.decode()
    assert "There is no contact" in client.post(PREVIEW, {**body, "sample": "a\x00b"}).content.decode()
    assert "line 1" in client.post(PREVIEW, {**body, "html": "{% if %}"}).content.decode()
    text = client.post(PREVIEW, {"channel": "telegram", "text": "<b>{{ user.first_name }}", "sample": "bob"})
    assert "&lt;b&gt;Bob" in text.content.decode()


def test_the_preview_can_run_no_script_and_needs_a_permission():
    client = signed_in("journeys.view_messagetemplate")
    response = client.post(PREVIEW, {"channel": "email", "html": "<script>alert(1)</script>"})
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert client.get(PREVIEW).status_code == 405
    assert signed_in(username="nobody").post(PREVIEW, {}).status_code == 403

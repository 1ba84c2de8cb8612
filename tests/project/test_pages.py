"""The pages as a browser sees them, under the content security policy."""

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer


@pytest.mark.django_db(transaction=True)
def test_an_operator_logs_in_and_no_script_is_blocked(page: Page, live_server: LiveServer) -> None:
    get_user_model().objects.create_superuser("operator", "", "secret")
    page.goto(f"{live_server.url}/")
    page.fill("#id_username", "operator")
    page.fill("#id_password", "secret")
    page.click("button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")
    assert page.get_by_role("link", name="Journeys").first.is_visible()

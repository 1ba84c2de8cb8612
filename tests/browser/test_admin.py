"""The builder by mouse and keyboard, under the real content security policy."""

import pytest
from playwright.sync_api import Browser, Page, expect

from journeys.models import Journey, MessageTemplate
from tests.factories import make_contact, make_journey, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(page: Page, live_server) -> Page:
    """A page that is signed in to the admin."""
    return sign_in(page, live_server)


def sign_in(page: Page, live_server) -> Page:
    operator(superuser=True)
    page.goto(f"{live_server.url}/admin/login/?next=/admin/journeys/journey/")
    page.fill("#id_username", "operator")
    page.fill("#id_password", "a long password")
    page.press("#id_password", "Enter")
    page.wait_for_url("**/admin/journeys/journey/")
    return page


def step_named(admin: Page, name: str):
    return admin.locator("[data-step]").filter(has=admin.locator("[data-title]", has_text=name))


def add_step(admin: Page, name: str, action: str):
    admin.get_by_role("button", name="Add a step").click()
    step = admin.locator("[data-step]").last
    step.get_by_label("Name", exact=True).fill(name)
    step.get_by_label("Action").select_option(label=action)
    return step


def titles(admin: Page) -> list[str]:
    return admin.locator("[data-step]:not(.j-deleted) [data-title]").all_text_contents()


def save(admin: Page) -> None:
    admin.get_by_role("button", name="Save and publish").click()
    admin.wait_for_url("**/admin/journeys/journey/")


def test_a_journey_is_built_by_clicking(admin: Page, live_server):
    admin.goto(f"{live_server.url}/admin/journeys/journey/add/")
    admin.get_by_label("Name", exact=True).fill("Win back")
    admin.get_by_label("Starts when").select_option(label="Idle")
    admin.get_by_label("Idle for").fill("14")

    greet = add_step(admin, "Greet", "Send an e-mail")
    greet.get_by_label("Template").select_option("welcome")
    greet.get_by_label("Subject").fill("We miss you")
    greet.get_by_label("Wait: how many").fill("1")
    greet.get_by_label("Wait: unit").select_option(label="days")
    greet.get_by_role("button", name="Add a condition").click()
    greet.get_by_label("Field").fill("plan")
    greet.get_by_label("Operator").select_option("in")
    greet.get_by_label("Add a value").fill("premium, gold")
    greet.get_by_label("Add a value").press("Enter")
    greet.get_by_role("button", name="Add a condition").click()
    greet.get_by_label("Field").last.fill("age")
    greet.get_by_label("Operator").last.select_option("gte")
    greet.get_by_label("Value", exact=True).last.fill("18")
    greet.get_by_label("How the rows are joined").select_option("any")
    expect(greet.locator("[data-summary]")).to_contain_text("after 1 day · only if plan")

    tag = add_step(admin, "Mark", "Apply a tag")
    tag.get_by_label("Tag", exact=True).fill("greeted")
    save(admin)

    journey = Journey.objects.get()
    assert (journey.trigger_type, journey.trigger_config) == ("idle_user", {"idle_days": 14})
    first, second = journey.steps.order_by("order")
    assert first.action_config == {"template": "welcome", "subject": "We miss you"}
    assert first.delay_minutes == 1440
    assert first.condition == {
        "any": [
            {"field": "plan", "op": "in", "value": ["premium", "gold"]},
            {"field": "age", "op": "gte", "value": 18},
        ]
    }
    assert second.action_config == {"tag": "greeted"}


def steps(*names: str) -> list[dict]:
    return [{"name": name, "action_type": "apply_tag", "action_config": {"tag": name}} for name in names]


def open_journey(admin: Page, live_server, **fields) -> Journey:
    journey = make_journey(**fields)
    admin.goto(f"{live_server.url}/admin/journeys/journey/{journey.pk}/change/")
    admin.wait_for_selector("[data-builder][data-ready]")
    return journey


def test_steps_are_dragged_into_order(admin: Page, live_server):
    admin.set_viewport_size({"width": 1280, "height": 1600})  # everything in sight: nothing scrolls under the mouse
    journey = open_journey(admin, live_server, steps=steps("one", "two", "three"))
    handles = admin.locator("[data-handle]")
    source, target = handles.nth(2).bounding_box(), handles.first.bounding_box()
    admin.mouse.move(source["x"] + 8, source["y"] + 8)
    admin.mouse.down()
    for nearer in range(20):
        admin.mouse.move(target["x"] + 8, source["y"] - nearer * (source["y"] - target["y"] + 10) / 19, steps=3)
        admin.wait_for_timeout(20)
    admin.mouse.up()
    expect(admin.locator("[data-title]")).to_have_text(["three", "one", "two"])
    save(admin)
    assert [step.name for step in journey.steps.order_by("order")] == ["three", "one", "two"]


def test_steps_are_moved_deleted_and_brought_back_by_keyboard(admin: Page, live_server):
    journey = open_journey(admin, live_server, steps=steps("one", "two", "three"))
    step_named(admin, "one").get_by_role("button", name="Move down").press("Enter")
    assert titles(admin) == ["two", "one", "three"]
    expect(admin.locator("[data-said]")).to_have_text("one is now step 2.")
    step_named(admin, "two").get_by_role("button", name="Delete this step").press("Enter")
    step_named(admin, "three").get_by_role("button", name="Delete this step").press("Enter")
    step_named(admin, "three").get_by_role("button", name="Undo").press("Enter")
    save(admin)
    left = journey.steps.filter(archived_at=None).order_by("order")
    assert [step.name for step in left] == ["one", "three"]


PLAN = [
    {
        "name": "Which plan?",
        "action_type": "branch",
        "lanes": [
            {"name": "gold", "condition": {"field": "plan", "op": "eq", "value": "gold"}, "steps": steps("inside")},
            {"name": "else", "steps": []},
        ],
    },
    *steps("behind"),
]


def lane_named(admin: Page, name: str):
    return admin.locator(f"[data-lane]:has(> .j-lane-head input[value='{name}'])")


def test_a_branch_is_built_by_clicking(admin: Page, live_server):
    admin.goto(f"{live_server.url}/admin/journeys/journey/add/")
    admin.get_by_label("Name", exact=True).fill("Upsell")
    add_step(admin, "Which plan?", "Branch")
    branch = step_named(admin, "Which plan?").first
    lanes = branch.locator("[data-lane]")
    expect(lanes).to_have_count(2)
    expect(lanes.nth(1).locator("[data-share]")).to_have_text("Everybody else")
    lanes.nth(0).get_by_label("Lane", exact=True).fill("gold")
    lanes.nth(0).get_by_role("button", name="Add a condition").click()
    lanes.nth(0).get_by_label("Field").fill("plan")
    lanes.nth(0).get_by_label("Value", exact=True).fill("gold")
    lanes.nth(0).get_by_role("button", name="Add a step to this lane").click()
    inside = lanes.nth(0).locator("[data-step]")
    inside.get_by_label("Name", exact=True).fill("Thank")
    inside.get_by_label("Action").select_option(label="Apply a tag")
    inside.get_by_label("Tag", exact=True).fill("golden")
    expect(inside.get_by_label("Where it stands")).to_have_value("0")
    save(admin)
    thank = Journey.objects.get().steps.get(name="Thank")
    assert (thank.parent.name, thank.lane) == ("Which plan?", "gold")
    assert thank.parent.lanes[0]["condition"] == {"field": "plan", "op": "eq", "value": "gold"}


def test_steps_are_put_into_lanes_and_out_by_keyboard(admin: Page, live_server):
    journey = open_journey(admin, live_server, steps=PLAN)
    behind = step_named(admin, "behind").last
    behind.locator("[data-toggle]").press("Enter")
    behind.get_by_label("Where it stands").select_option(label="Which plan? → gold")
    expect(admin.locator("[data-said]")).to_have_text("behind now stands in: Which plan? → gold.")
    behind.get_by_role("button", name="Move up").press("Enter")
    expect(admin.locator("[data-said]")).to_have_text("behind is now step 1 of lane gold.")
    inside = admin.locator("[data-lane] [data-step]").filter(has=admin.locator("[data-title]", has_text="inside"))
    inside.locator("[data-toggle]").press("Enter")
    inside.get_by_label("Where it stands").select_option(label="The journey itself")
    save(admin)
    placed = {step.name: (step.lane, step.order) for step in journey.steps.all()}
    assert placed == {"Which plan?": ("", 0), "behind": ("gold", 0), "inside": ("", 1)}


def test_a_deleted_lane_takes_its_steps_along_and_brings_them_back(admin: Page, live_server):
    journey = open_journey(admin, live_server, steps=PLAN)
    lane_named(admin, "gold").get_by_role("button", name="Delete this lane").press("Enter")
    expect(admin.locator("[data-title]", has_text="inside")).not_to_be_visible()
    lane_named(admin, "gold").get_by_role("button", name="Undo").first.press("Enter")
    expect(admin.locator("[data-title]", has_text="inside")).to_be_visible()
    step_named(admin, "Which plan?").first.get_by_role("button", name="Delete this step").first.press("Enter")
    save(admin)
    assert [step.name for step in journey.steps.filter(archived_at=None)] == ["behind"]


def test_lanes_come_back_with_the_action_that_had_them(admin: Page, live_server):
    open_journey(admin, live_server, steps=PLAN)
    branch = step_named(admin, "Which plan?").first
    branch.locator("[data-toggle]").first.click()
    action = branch.get_by_label("Action").first
    action.select_option(label="Exit the journey")
    expect(admin.locator("[data-lane]:visible")).to_have_count(0)
    action.select_option(label="A/B split")
    expect(lane_named(admin, "else").locator("[data-share]")).to_have_text("50 % of people")


def test_a_wait_has_always_the_same_two_lanes(admin: Page, live_server):
    journey = open_journey(admin, live_server, steps=PLAN)
    step = step_named(admin, "Which plan?").first
    step.locator("[data-toggle]").first.click()
    step.get_by_label("Action").first.select_option(label="Wait for an event")
    step.get_by_label("Event", exact=True).fill("email_opened")
    step.get_by_label("Wait: how many").first.fill("2")
    received = admin.locator("[data-lane]").first
    expect(received.get_by_label("Lane", exact=True)).to_have_value("received")
    expect(received.get_by_label("Lane", exact=True)).not_to_be_editable()
    expect(received.get_by_role("button", name="Delete this lane")).not_to_be_visible()
    expect(step.get_by_role("button", name="Add a lane")).not_to_be_visible()
    save(admin)
    wait = journey.steps.get(action_type="wait_for_event")
    assert wait.action_config == {"event": "email_opened", "timeout_minutes": 2}
    assert [lane["name"] for lane in wait.lanes] == ["received", "timed out"]
    assert journey.steps.get(name="inside").lane == "received"


def test_what_was_deleted_before_does_not_come_back_with_the_action(admin: Page, live_server):
    journey = open_journey(admin, live_server, steps=PLAN)
    branch = step_named(admin, "Which plan?").first
    lane_named(admin, "else").get_by_role("button", name="Delete this lane").press("Enter")
    branch.locator("[data-toggle]").first.click()
    action = branch.get_by_label("Action").first
    action.select_option(label="Exit the journey")
    action.select_option(label="Branch")
    save(admin)
    assert [lane["name"] for lane in journey.steps.get(action_type="branch").lanes] == ["gold"]


def test_choosing_another_action_shows_its_fields_and_going_back_keeps_what_was_entered(admin: Page, live_server):
    open_journey(admin, live_server, steps=steps("one"))
    step = step_named(admin, "one")
    step.locator("[data-toggle]").click()
    step.get_by_label("Action").select_option(label="Call a webhook")
    expect(step.get_by_label("URL")).to_be_visible()
    expect(step.get_by_label("Tag", exact=True)).to_have_count(0)
    step.get_by_label("Action").select_option(label="Apply a tag")
    expect(step.get_by_label("Tag", exact=True)).to_have_value("one")


def test_an_error_opens_its_step_and_stands_beside_its_field(admin: Page, live_server):
    open_journey(admin, live_server, steps=steps("one", "two"))
    step_named(admin, "two").locator("[data-toggle]").click()
    step_named(admin, "two").get_by_label("Tag", exact=True).fill("")
    admin.get_by_role("button", name="Save and publish").click()
    two = step_named(admin, "two")
    expect(two.locator(".j-error:visible")).to_have_text("This is required.")
    expect(admin.locator("[data-alert]")).to_be_focused()


def test_a_condition_is_written_as_text_and_shown_as_rows(admin: Page, live_server):
    journey = open_journey(admin, live_server, steps=steps("one"))
    trigger = admin.locator("[data-trigger]")
    trigger.get_by_role("button", name="Edit as text").click()
    trigger.get_by_label("Condition as text").fill('plan = "gold" and age >')
    trigger.get_by_role("button", name="Edit as rows").click()
    expect(trigger.locator("[data-fault]")).to_contain_text("line 1, column", ignore_case=True)
    trigger.get_by_label("Condition as text").fill('plan = "gold" and age > 18')
    trigger.get_by_role("button", name="Edit as rows").click()
    expect(trigger.locator("[data-row]")).to_have_count(2)
    expect(trigger.get_by_label("Field").first).to_have_value("plan")
    trigger.get_by_label("Field").first.fill("tier")
    save(admin)
    journey.refresh_from_db()
    first, second = journey.trigger_config["condition"]["all"]
    assert first == {"field": "tier", "op": "eq", "value": "gold"}
    assert second == {"field": "age", "op": "gt", "value": 18}


def test_a_journey_is_switched_off_in_the_list(admin: Page):
    make_journey("Greeting")
    admin.reload()
    admin.get_by_role("switch", name="Greeting is active").click()
    expect(admin.get_by_role("switch", name="Greeting is active")).to_have_attribute("aria-checked", "false")
    assert not Journey.objects.get().is_active


def test_the_preview_follows_what_is_typed_and_runs_no_script(browser: Browser, live_server):
    # A page without the fixture's eye on the console: what the browser blocks here is meant to be blocked.
    admin = sign_in(browser.new_page(), live_server)
    said: list[str] = []
    admin.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    make_contact("ada", attributes={"first_name": "Ada"})
    admin.goto(f"{live_server.url}/admin/journeys/messagetemplate/add/")
    hack = "<script>parent.document.title = 'hacked'</script><img src=x onerror=\"parent.document.title = 'hacked'\">"
    admin.get_by_label("HTML").fill(f"<p>Hello {{{{ user.first_name }}}}</p>{hack}")
    frame = admin.frame_locator("iframe[name=preview]")
    expect(frame.locator("p")).to_have_text("Hello Ada")
    assert "hacked" not in admin.title()
    assert admin.locator("iframe[name=preview]").get_attribute("sandbox") == ""
    assert any("Blocked script execution" in text for text in said)
    assert not MessageTemplate.objects.exists()
    admin.close()


def test_nothing_is_wider_than_a_narrow_screen(admin: Page, live_server):
    admin.set_viewport_size({"width": 360, "height": 740})
    condition = {"field": "plan", "op": "in", "value": ["premium", "gold"]}
    open_journey(admin, live_server, steps=steps("one"), trigger_config={"condition": condition})
    step_named(admin, "one").locator("[data-toggle]").click()
    assert admin.evaluate("document.documentElement.scrollWidth") <= 360


def test_who_enters_and_when_they_leave_is_set_by_clicking(admin: Page, live_server):
    journey = open_journey(admin, live_server, exit_on=[{"event": "unsubscribed"}])
    rules = admin.locator("[data-rules]")
    expect(rules.get_by_label("How many days after")).to_be_hidden()
    rules.get_by_label("Enters again").select_option("after_days")
    rules.get_by_label("How many days after").fill("30")
    expect(rules.get_by_text("Never.")).to_be_visible()
    rules.get_by_role("button", name="Remove this event").click()
    rules.get_by_role("button", name="Add an event by which they leave").click()
    added = rules.locator("[data-exit]").last
    added.get_by_label("Event", exact=True).fill("order_placed")
    added.get_by_role("button", name="Add a condition").click()
    added.get_by_label("Field").fill("event.sum")
    added.get_by_label("Operator").select_option("gt")
    added.get_by_label("Value", exact=True).fill("10")
    expect(rules.get_by_label("Within days")).to_be_hidden()
    rules.locator("[name=goal_event]").fill("order_placed")
    rules.get_by_label("Within days").fill("7")
    save(admin)

    journey.refresh_from_db()
    assert (journey.reentry, journey.reentry_days, journey.exit_condition) == ("after_days", 30, None)
    condition = {"field": "event.sum", "op": "gt", "value": 10}
    assert journey.exit_on == [{"event": "order_placed", "condition": condition}]
    assert journey.goal == {"event": "order_placed", "within_days": 7, "exit_on_goal": True}

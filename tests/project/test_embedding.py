"""The README's way into another Django project: its blocks, an empty database, and nothing of our own project."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
NAME = f"embedding_{os.environ.get('PYTEST_XDIST_WORKER', 'one')}"

DATABASE = """
import environ
DATABASES = {"default": environ.Env().db_url("DATABASE_URL")}
"""
STORY = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from journeys.authoring.document import parse
from journeys.authoring.publish import create_journey
steps = [
    {"name": "Mail", "action_type": "send_email", "action_config": {"template": "welcome", "subject": "Hello"}},
    {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "welcomed"}},
]
operator = get_user_model().objects.create_superuser("admin", "", "admin")
create_journey(parse({"name": "Hello", "trigger_type": "signup", "steps": steps}), operator, timezone.now())
"""
OUTCOME = """
from django.test import Client
from journeys.models import StepExecution
print(sorted(StepExecution.objects.values_list("status", "step__name", "result__reason")))
client = Client(HTTP_HOST="localhost")
tokens = client.post("/api/v1/auth/token", {"username": "admin", "password": "admin"}, "application/json").json()
bearer = {"Authorization": "Bearer " + tokens["access"]}
print([run["status"] for run in client.get("/api/v1/journeys/users/42/journeys", headers=bearer).json()])
client.login(username="admin", password="admin")
pages = ("/admin/", "/admin/journeys/journey/", "/admin/journeys/journey/add/", "/api/docs", "/api/schema", "/metrics")
print([client.get(page).status_code for page in pages])
"""


def block(first_line: str) -> str:
    """The README's code block that begins so."""
    for text in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        if text.startswith(first_line):
            return text
    raise LookupError(first_line)


@pytest.fixture
def empty_database(database_url: str) -> Iterator[str]:
    quoted = sql.Identifier(NAME)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
        yield urlsplit(database_url)._replace(path=f"/{NAME}").geturl()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))


def test_the_readme_puts_the_app_into_another_project(tmp_path: Path, empty_database: str):
    (tmp_path / "journeys").symlink_to(ROOT / "journeys")  # The app alone: journeys_project can't be imported.
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path),
        "DATABASE_URL": empty_database,
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "django", "startproject", "shop", ".")
    with (tmp_path / "shop" / "settings.py").open("a") as settings:
        settings.write(block("# settings.py") + DATABASE)
    (tmp_path / "shop" / "urls.py").write_text(block("# urls.py"))
    run("manage.py", "check")
    run("manage.py", "migrate")
    run("manage.py", "makemigrations", "--check", "--dry-run")
    run("manage.py", "shell", "--no-imports", "-c", STORY)
    run("manage.py", "shell", "--no-imports", "-c", block("import journeys\n"))
    run("manage.py", "run_due")
    executions, runs, pages = run("manage.py", "shell", "--no-imports", "-c", OUTCOME).strip().splitlines()
    assert executions == ("[('skipped', 'Mail', 'the contact has no e-mail address'), ('success', 'Tag', None)]")
    assert runs == "['completed']"
    assert pages == "[200, 200, 200, 200, 200, 200]"

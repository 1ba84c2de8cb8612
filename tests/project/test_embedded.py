import pytest
from django.db import connection


@pytest.mark.django_db
def test_tests_run_on_a_server_of_their_own() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        assert cursor.fetchone()[0].endswith("var/tests/postgres")

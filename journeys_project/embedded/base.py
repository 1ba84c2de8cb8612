"""Django's PostgreSQL engine, which sees to it that the embedded server runs before it connects."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import base

from journeys_project.embedded.server import Server, ServerError

DATABASE = "journeys"


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        """Called just before a connection is made, never on import or by commands that need no database."""
        embedded = self.settings_dict["EMBEDDED"]
        server = Server.at(embedded["data"], durable=embedded["durable"])
        try:
            server.hold(DATABASE)
        except (ServerError, OSError) as error:  # such as a var/ that another account made
            raise ImproperlyConfigured(f"No embedded PostgreSQL: {error}") from error
        parameters: dict[str, Any] = super().get_connection_params()
        return {**parameters, "host": str(server.socket_dir), "user": "postgres"}

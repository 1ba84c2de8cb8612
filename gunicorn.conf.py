"""How the web process runs: `gunicorn`, in this folder, needs nothing more."""

import os

threads = int(os.environ.get("WEB_THREADS") or 8)
os.environ.setdefault("DATABASE_POOL", str(threads))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "journeys_project.settings")

# Read here, before a worker is started: a wrong environment ends the whole process, with one line.
from journeys_project import environment, settings

wsgi_app = "journeys_project.wsgi"
bind = f"{environment.text('HOST', '127.0.0.1')}:{environment.port('PORT', 8000)}"
workers = environment.number("WEB_CONCURRENCY", 1, least=1)
worker_class = "gthread"
graceful_timeout = 10
max_requests, max_requests_jitter = 50_000, 5_000
control_socket_disable = True
logconfig_dict = {
    **settings.LOGGING,
    "loggers": {"gunicorn.error": {"level": "WARNING", "propagate": True, "handlers": []}},
}

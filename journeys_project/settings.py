"""All settings, from the environment. docs/operations.md lists the variables."""

import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.templatetags.static import static
from django.urls import reverse_lazy
from structlog.tracebacks import ExceptionDictTransformer

from journeys import defaults
from journeys_project import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("VAR_DIR", str(BASE_DIR / "var"))).resolve()

# --- Web ------------------------------------------------------------------------------------------

DEBUG = env.flag("DEBUG")
SECRET_KEY = env.text("SECRET_KEY") if DEBUG else env.required("SECRET_KEY", "50 or more random characters")
SECRET_KEY = SECRET_KEY or "known-to-everyone-therefore-only-for-DEBUG-on-your-own-machine"
if len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5:
    env.refuse("SECRET_KEY", "is too weak: 50 or more random characters")

ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]", ".localhost"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
if env.flag("TRUST_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", not DEBUG)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # asked from inside, over plain HTTP
SECURE_HSTS_SECONDS = 0 if DEBUG else env.number("SECURE_HSTS_SECONDS", 365 * 24 * 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = bool(SECURE_HSTS_SECONDS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000  # a journey of 200 steps is one form
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": [
            "'self'",
            "'unsafe-eval'",
        ],  # Alpine, in the admin, evaluates its markup
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

ROOT_URLCONF = "journeys_project.urls"
WSGI_APPLICATION = "journeys_project.wsgi.application"
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "django_prometheus",
    "django_structlog",
    "axes",
    "csp",
    "anymail",
    "journeys",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "journeys_project.logs.RequestLog",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
STATIC_ROOT = None if DEBUG else BASE_DIR / "staticfiles"  # with DEBUG, files are served where they lie
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

LANGUAGE_CODE = env.language("LANGUAGE_CODE", "en-us")
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database -------------------------------------------------------------------------------------

_pool = env.number("DATABASE_POOL", 0)
_database = env.database("DATABASE_URL") or {
    "ENGINE": "journeys_project.embedded",
    "NAME": "journeys",
    "EMBEDDED": {"data": VAR_DIR / "postgres", "durable": env.flag("EMBEDDED_DURABLE", True)},
}
# The web process pools its connections (gunicorn.conf.py asks for it). A pool breaks in the worker's forks
# and excludes persistent connections, which the worker has instead.
_options = {**_database.get("OPTIONS", {}), **({"pool": {"min_size": 1, "max_size": _pool}} if _pool else {})}
DATABASES = {
    "default": {
        **_database,
        "OPTIONS": _options,
        "CONN_MAX_AGE": 0 if _pool else 60,
        "CONN_HEALTH_CHECKS": True,
    }
}

# --- Operators ------------------------------------------------------------------------------------

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
AXES_FAILURE_LIMIT = env.number("LOGIN_FAILURE_LIMIT", 10, least=1)
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
    # Counted in each web process. The login limit above, which counts failures, is kept in the database.
    "DEFAULT_THROTTLE_RATES": {
        "token_account": f"{env.number('TOKEN_RATE_ACCOUNT', 20, least=1)}/min",
        "token_address": f"{env.number('TOKEN_RATE_ADDRESS', 60, least=1)}/min",
    },
    "NUM_PROXIES": int(env.flag("TRUST_PROXY")),  # how far X-Forwarded-For is believed
}
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "UPDATE_LAST_LOGIN": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Journeys",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": ["journeys.api.schema.demand_bodies"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- Admin ----------------------------------------------------------------------------------------


def _page(title: str, icon: str, model: str, action: str = "view") -> dict[str, Any]:
    """A link in the sidebar, for those who may see the page."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.{action}_{name}"),
    }


UNFOLD = {
    "SITE_TITLE": "Journeys",
    "SITE_HEADER": "Journeys",
    "SITE_SYMBOL": "route",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("journeys/icon.svg")},
    ],
    "STYLES": [lambda request: static("journeys/admin.css")],
    "DASHBOARD_CALLBACK": "journeys.admin.dashboard.dashboard",
    "COLORS": {
        "primary": {
            "50": "oklch(96.9% .016 293.8)",
            "100": "oklch(94.3% .029 294.6)",
            "200": "oklch(89.4% .057 293.3)",
            "300": "oklch(81.1% .111 293.6)",
            "400": "oklch(70.2% .183 293.5)",
            "500": "oklch(60.6% .25 292.7)",
            "600": "oklch(54.1% .281 293)",
            "700": "oklch(49.1% .27 292.6)",
            "800": "oklch(43.2% .232 292.8)",
            "900": "oklch(38% .189 293.7)",
            "950": "oklch(28.3% .141 291.1)",
        }
    },
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {"title": "Overview", "icon": "space_dashboard", "link": reverse_lazy("admin:index")},
                    _page("Journeys", "route", "journeys.journey"),
                    _page("Message templates", "draft", "journeys.messagetemplate"),
                    _page("Frequency caps", "speed", "journeys.frequencycap"),
                ]
            },
            {
                "title": "What happened",
                "separator": True,
                "items": [
                    _page("Runs", "directions_walk", "journeys.userjourney"),
                    _page("Executions", "checklist", "journeys.stepexecution"),
                    _page("Messages", "mail", "journeys.message"),
                    _page("Events", "bolt", "journeys.event"),
                    _page("Dead letters", "report", "journeys.deadletter"),
                    _page("Breakers", "electrical_services", "journeys.breaker"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _page("Contacts", "group", "journeys.contact"),
                    _page("Segments", "groups_2", "journeys.segment"),
                    _page("Tags", "sell", "journeys.tag"),
                    _page("Rewards", "redeem", "journeys.reward"),
                ],
            },
            {
                "title": "Administration",
                "separator": True,
                "collapsible": True,
                "items": [
                    _page("Operators", "badge", "auth.user"),
                    _page("Groups", "groups", "auth.group"),
                    _page("Schedules", "schedule", "django_q.schedule", "change"),
                    _page("Failed tasks", "error", "django_q.failure", "change"),
                ],
            },
        ]
    },
}

# --- Channels: each is optional, and what a step needs and lacks is that step's error -------------

_mail = env.mail("EMAIL_URL")
_mail_backend = env.mail_backend("EMAIL_BACKEND", _mail.pop("EMAIL_BACKEND", ""))
EMAIL_BACKEND = _mail_backend or "django.core.mail.backends.console.EmailBackend"
EMAIL_HOST = _mail.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _mail.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = bool(_mail.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(_mail.get("EMAIL_USE_SSL"))
EMAIL_TIMEOUT = env.number("EMAIL_TIMEOUT", 10, least=1)
DEFAULT_FROM_EMAIL = env.mail_address("DEFAULT_FROM_EMAIL", "journeys@localhost")
# ANYMAIL_POSTMARK_SERVER_TOKEN and the like, as anymail's documentation names them.
ANYMAIL: dict[str, Any] = {"REQUESTS_TIMEOUT": EMAIL_TIMEOUT}
ANYMAIL |= {name.removeprefix("ANYMAIL_"): os.environ[name] for name in os.environ if name.startswith("ANYMAIL_")}

TELEGRAM_BOT_TOKEN = env.text("TELEGRAM_BOT_TOKEN")
TELEGRAM_API_URL = env.web_address("TELEGRAM_API_URL", "https://api.telegram.org")
VAPID_PRIVATE_KEY = env.vapid_key("VAPID_PRIVATE_KEY")
VAPID_SUBJECT = env.text("VAPID_SUBJECT")
if VAPID_PRIVATE_KEY and not VAPID_SUBJECT.startswith(("mailto:", "https://")):
    env.refuse("VAPID_SUBJECT", "is needed beside VAPID_PRIVATE_KEY: mailto:somebody@example.com")
FCM_SERVICE_ACCOUNT = env.service_account("FCM_SERVICE_ACCOUNT_JSON")
FCM_API_URL = env.web_address("FCM_API_URL", "https://fcm.googleapis.com")
WEBHOOK_SECRETS = env.webhook_secrets("WEBHOOK_SECRETS")
WEBHOOK_ALLOWED_HOSTS = env.inside_hosts("WEBHOOK_ALLOWED_HOSTS")

# --- The engine -----------------------------------------------------------------------------------

JOURNEYS: dict[str, Any] = {
    "EMAIL_CONFIGURED": bool(_mail_backend),
    "LEASE_SECONDS": env.number("LEASE_SECONDS", 60, least=1),
    "BATCH": env.number("BATCH", 500, least=1),
    "MAX_ATTEMPTS": env.number("MAX_ATTEMPTS", 5, least=1),
    "RETRY_BASE_SECONDS": env.number("RETRY_BASE_SECONDS", 30, least=1),
    "RETRY_CAP_SECONDS": env.number("RETRY_CAP_SECONDS", 3600, least=1),
    "RETRY_AFTER_CAP_SECONDS": env.number("RETRY_AFTER_CAP_SECONDS", 86400, least=1),
    "RATES": env.rates("RATES", defaults.JOURNEYS["RATES"]),
    "BREAKER_FAILURES": env.number("BREAKER_FAILURES", 5, least=1),
    "BREAKER_PROBE_SECONDS": env.number("BREAKER_PROBE_SECONDS", 60, least=1),
    "TOMBSTONE_DAYS": env.number("TOMBSTONE_DAYS", 30, least=1),
    "RETENTION_DAYS": env.number("RETENTION_DAYS", 365, least=1),
    "EVENT_RETENTION_DAYS": env.number_if_set("EVENT_RETENTION_DAYS", least=1),
    "EVENT_KEY_RETENTION_DAYS": env.number_if_set("EVENT_KEY_RETENTION_DAYS", least=1),
    "EXECUTION_RETENTION_DAYS": env.number_if_set("EXECUTION_RETENTION_DAYS", least=1),
    "MESSAGE_RETENTION_DAYS": env.number_if_set("MESSAGE_RETENTION_DAYS", least=1),
    "TALLY_RETENTION_DAYS": env.number_if_set("TALLY_RETENTION_DAYS", least=1),
    "TASK_RETENTION_DAYS": env.number("TASK_RETENTION_DAYS", 1, least=1),
}
METRICS_TOKEN = env.text("METRICS_TOKEN")
PROMETHEUS_EXPORT_MIGRATIONS = False  # it would ask the database when the process starts

Q_CLUSTER = {**defaults.Q_CLUSTER, "workers": env.number("Q_WORKERS", 4, least=3)}

# --- Logs: JSON, to standard error, so that a command's own output stays clean --------------------

_log_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
structlog.configure(
    processors=[*_log_processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG  # one line a request: its end
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
_log_level = env.one_of("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _log_processors,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Without the frames' locals: those hold addresses and messages.
                structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
                structlog.processors.JSONRenderer(),
            ],
        }
    },
    "filters": {"not_unready": {"()": "journeys_project.logs.NotUnready"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": _log_level},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.request": {"level": "ERROR", "filters": ["not_unready"]},  # the request's own line says the rest
        "django-q": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},  # its lines hold whole URLs, and Telegram's hold the token
        "axes": {"level": "WARNING"},
    },
}

"""All settings, from the environment (SAXAUL_…) or a `.env` file; each with its unit in its name.

Made once at start and handed on; nothing reads the environment later.
"""

import os
from ipaddress import ip_address
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

DEMO_TOKEN_SECRET = "saxaul-demo-token-secret-not-for-production"
DEMO_SERVER_KEY = "saxaul-demo-server-key-not-for-production"
DEMO_OPERATOR_KEY = "saxaul-demo-operator-key-not-for-production"
SECRET_CHARACTERS_MIN = 32
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_NEW_SECRET = "Set it to a random text: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


class SettingsError(Exception):
    """A setting that can't be served with; the text says which and how to mend it."""


class Settings(BaseSettings):
    """Saxaul's settings. The defaults serve one person on one machine."""

    model_config = SettingsConfigDict(env_prefix="SAXAUL_", env_file=".env", extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    database_url: str = Field(
        "sqlite:///saxaul.db", description="sqlite:///path or postgresql://user:password@host/name."
    )
    redis_url: str | None = Field(
        None, description="redis://host:port/0; joins several processes on one database."
    )
    game_rules: Path | None = Field(None, description="Folder of the rulebook; the shipped one if not set.")

    token_secret: str = Field(DEMO_TOKEN_SECRET, description="HMAC key of the app's user tokens (HS256).")
    token_key_set: str | None = Field(
        None,
        description="Address (https://…) or file of the app's public keys (JWKS), instead of the HMAC key.",
    )
    token_audience: str = Field("saxaul", description="The `aud` that a user token must name.")
    server_key: str = Field(DEMO_SERVER_KEY, description="The app server's key for accounts and links.")
    operator_key: str = Field(
        DEMO_OPERATOR_KEY, description="The operator's key for reviews, funding and sources."
    )
    operators: dict[str, str] = Field(
        default_factory=dict,
        description="Operators' own keys by name, as a JSON object; once there are any, only they publish rulebooks.",
    )
    origins: list[str] = Field(
        default_factory=list,
        description="Origins that browsers may connect from, exactly as they send them; none by default.",
    )

    frame_bytes_max: int = Field(65_536, description="Largest frame taken from a client.")
    head_bytes_max: int = Field(32_768, description="Largest head (line and headers) of an HTTP request.")
    head_within_s: float = Field(10.0, description="A head that is not whole by then is cut off.")
    request_within_s: float = Field(60.0, description="An HTTP body that is not whole by then is cut off.")
    body_bytes_max: int = Field(1_048_576, description="Largest HTTP body.")
    activities_max: int = Field(1_000, description="Activities in one ingestion call.")
    send_queue_bytes_max: int = Field(262_144, description="Unsent bytes at which a slow reader is closed.")
    outstanding_max: int = Field(
        64, description="Commands of one connection that may wait for their replies."
    )
    commands_per_s: float = Field(20.0, description="Commands a second of one connection; 0 sets no limit.")
    commands_burst: int = Field(
        60, description="Commands that a connection may send at once before the rate counts."
    )
    connections_max: int = Field(20_000, description="Open sockets of one process.")
    connections_per_user_max: int = Field(32, description="Open sockets of one user in one process.")
    channels_max: int = Field(128, description="Subscriptions of one connection.")
    connect_timeout_s: float = Field(10.0, description="A socket that has not connected by then is closed.")
    ping_s: float = Field(25.0, description="How often the server pings, as clients are told.")
    pong_s: float = Field(10.0, description="How long a client may take to answer a ping.")
    history_s: float = Field(600.0, description="How long publications are kept for recovery.")
    history_bytes_max: int = Field(268_435_456, description="Memory for all publications kept.")
    queue_commands_max: int = Field(20_000, description="Commands that may wait for the writer.")
    drain_s: float = Field(10.0, description="Time in which connections are closed at shutdown.")
    drain_notice_s: float = Field(
        0.0, description="How long readiness fails before that, for load balancers to notice."
    )
    signature_tolerance_s: int = Field(300, description="How old a signed request may be.")
    pull_folder: Path | None = Field(
        None, description="Folder of pull files: feeds of sources that do not push (docs/ingest.md)."
    )
    pull_loopback: bool = Field(
        False, description="Whether feeds on this machine may be pulled, also by http."
    )
    population: Path | None = Field(
        None, description="Population for the forecast of a rulebook's cost; the shipped one, when not set."
    )
    forecast_d: int = Field(
        90,
        ge=0,
        le=366,
        description="Days of play, from an empty start, whose trees must be funded; 0 asks no forecast.",
    )
    photos: Path | None = Field(
        None, description="Folder of users' photos; beside the SQLite file (NAME.photos), or ./saxaul.photos."
    )
    photo_bytes_max: int = Field(8_388_608, description="Largest photo taken from a user.")
    photo_pixels_max: int = Field(
        25_000_000, description="Most pixels of a photo, checked before it is unpacked."
    )
    day_photos_max: int = Field(20, ge=0, description="Photos that a user may upload within 24 hours.")
    simulation_user_days_max: int = Field(
        600_000,
        ge=0,
        description="Largest simulation over HTTP: users x days x runs x rulebooks; 0 allows none.",
    )
    evidence: Path | None = Field(
        None,
        description="Folder of partners' evidence; beside the SQLite file (NAME.evidence), or ./saxaul.evidence.",
    )
    evidence_bytes_max: int = Field(33_554_432, description="Largest file of evidence taken from a partner.")
    evidence_pixels_max: int = Field(
        64_000_000, description="Most pixels of a partner's photo, checked before it is unpacked."
    )
    evidence_uploads_max: int = Field(100, ge=1, description="Unfinished uploads that a partner may have.")
    evidence_expiry_s: int = Field(
        604_800, ge=60, description="How long an unfinished upload waits for its next bytes."
    )
    registry_kept_s: float = Field(
        10.0, ge=0, description="How old a public page may be where another process changed what it tells of."
    )
    registry_kept_bytes_max: int = Field(67_108_864, ge=0, description="Memory for public pages kept.")
    registry_licence: str = Field(
        "https://creativecommons.org/licenses/by/4.0/",
        description="Address of the licence under which the registry's data is given.",
    )
    readers: int = Field(4, ge=1, description="Database connections for reading.")

    announce_s: float = Field(1.0, description="How often ripening is announced.")
    expiry_s: float = Field(5.0, description="How often expiry is booked.")
    orders_s: float = Field(10.0, description="How often planting orders are formed and followed up.")

    partner_simulator_url: str | None = Field(
        None, description="Address of a partner simulator; none: orders wait."
    )
    partner_simulator_key: str | None = Field(None, description="Key for that simulator.")
    partner_files: Path | None = Field(
        None, description="TOML file of partners who work by mail or shared folder (docs/partners.md)."
    )
    portal: bool = Field(True, description="Whether the portal for partners' staff is served, under /portal.")
    portal_url: str | None = Field(
        None,
        description="Address by which staff reach this server, https://…; links and cookies are made for it.",
    )
    portal_session_s: int = Field(43_200, ge=300, description="How long a login to the portal lasts.")
    portal_link_s: int = Field(
        259_200, ge=300, description="How long a link that sets a password can be used."
    )
    partner_portal: Path | None = Field(
        None, description="TOML file of partners who work in the portal (docs/partners.md)."
    )
    partner_rest: Path | None = Field(
        None, description="TOML file of partners with developers (docs/partner-api.md)."
    )
    webhook_loopback: bool = Field(
        False, description="Whether webhooks may go to this machine, also by http: for development."
    )
    webhooks_s: float = Field(1.0, description="How often webhooks that are due are sent.")
    partner_requests_per_s: float = Field(
        5.0, ge=0, description="Requests a second of one key of the partner API; 0 sets no limit."
    )
    partner_requests_burst: int = Field(
        100, ge=1, description="Requests that such a key may make at once before the rate counts."
    )
    partner_folders_s: float = Field(15.0, description="How often partners' shared folders are looked into.")

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_json: bool = Field(True, description="One JSON object a line; false for a terminal.")
    demo: bool = Field(False, description="Demo mode: well-known secrets and a village of demo users.")

    @property
    def photo_folder(self) -> Path:
        """Where users' photos lie."""
        return self.photos or self._beside_database("photos")

    @property
    def evidence_folder(self) -> Path:
        """Where partners' evidence lies."""
        return self.evidence or self._beside_database("evidence")

    def _beside_database(self, kind: str) -> Path:
        scheme, _, path = self.database_url.partition(":///")
        return Path(f"{path}.{kind}") if scheme.startswith("sqlite") else Path(f"saxaul.{kind}")

    def check(self) -> None:
        """Refuse what can't be served with, and well-known or short secrets wherever others could reach the server.

        Raises SettingsError.
        """
        if self.log_level.upper() not in LOG_LEVELS:
            raise SettingsError(f"SAXAUL_LOG_LEVEL is one of {', '.join(LOG_LEVELS)}, not {self.log_level!r}")
        if self.token_key_set is None and len(self.token_secret.encode()) < SECRET_CHARACTERS_MIN:
            raise SettingsError(
                f"SAXAUL_TOKEN_SECRET has under {SECRET_CHARACTERS_MIN} characters. {_NEW_SECRET}"
            )
        self._check_operators()
        if self.portal_url is not None and not self.portal_url.startswith(("https://", "http://")):
            raise SettingsError("SAXAUL_PORTAL_URL is an address such as https://trees.example")
        if is_loopback(self.host):
            return
        for name, demo in (
            ("token_secret", DEMO_TOKEN_SECRET),
            ("server_key", DEMO_SERVER_KEY),
            ("operator_key", DEMO_OPERATOR_KEY),
        ):
            value = getattr(self, name)
            if name == "token_secret" and self.token_key_set is not None:
                continue
            if value == demo or len(value) < SECRET_CHARACTERS_MIN:
                raise SettingsError(
                    f"SAXAUL_{name.upper()} is the demo's or shorter than {SECRET_CHARACTERS_MIN} characters, "
                    f"which is refused off loopback ({self.host}). {_NEW_SECRET}"
                )
        if (self.token_key_set or "").startswith("http://"):
            raise SettingsError(
                "SAXAUL_TOKEN_KEY_SET over http:// could be exchanged on its way; name an https:// one"
            )
        if (
            self.portal
            and self.partner_portal is not None
            and not (self.portal_url or "").startswith("https://")
        ):
            raise SettingsError(
                "the portal carries passwords: off loopback SAXAUL_PORTAL_URL must be an https:// address, "
                "or SAXAUL_PORTAL false"
            )
        if self.demo:
            raise SettingsError(f"demo mode is refused off loopback ({self.host})")

    def _check_operators(self) -> None:
        """Each has a name and a key of their own: who approves is told by the key."""
        if not self.operators:
            return
        names = {" ".join(name.casefold().split()) for name in self.operators}
        keys = {*self.operators.values(), self.operator_key, self.server_key}
        if "" in names or len(names) < len(self.operators) or len(keys) < len(self.operators) + 2:
            raise SettingsError("SAXAUL_OPERATORS gives each operator a name and a key that nobody else has")
        if any(len(key.encode()) < SECRET_CHARACTERS_MIN for key in self.operators.values()):
            raise SettingsError(
                f"SAXAUL_OPERATORS has a key under {SECRET_CHARACTERS_MIN} characters. {_NEW_SECRET}"
            )


def pull_secret(name: str) -> str | None:
    """The secret of a feed, by the name that its pull file gives: read when it is used, so that it can be renewed.

    Only names that begin with SAXAUL_PULL_ are read, so that no file can send another secret away.
    """
    return os.environ.get(name) if name.startswith("SAXAUL_PULL_") else None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

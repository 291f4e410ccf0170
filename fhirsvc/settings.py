"""The only reader of the environment and of fhirsvc.toml: one frozen object of settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from fhirsvc.errors import Category, FhirsvcError

CONFIG_FILE = "fhirsvc.toml"


class Settings(BaseSettings):
    """How this process runs. Each can be set in fhirsvc.toml and, before that, in the environment.

    The variable of a setting is its name in upper case after ``FHIRSVC_``.
    """

    model_config = SettingsConfigDict(
        env_prefix="FHIRSVC_", toml_file=CONFIG_FILE, frozen=True, extra="forbid"
    )

    database_url: str = Field(
        "sqlite:///fhirsvc.sqlite",
        description="where records are kept: sqlite:///FILE or postgresql+psycopg://…",
    )
    engine_url: str = Field(
        "", description="where the engine keeps its jobs; empty: beside the database"
    )
    mappings: str = Field("", description="a folder of mappings; empty: the shipped ones")
    site: str = Field("", description="a site's folder of overlays over them; empty: none")
    keys: str = Field(
        "fhirsvc-keys", description="the folder of the private keys that EHRs know us by"
    )
    public_url: str = Field(
        "",
        description="where EHRs and partners reach this service, for notifications and access "
        "tokens; empty: they do not",
    )
    partners_private: bool = Field(
        False,
        description="partners' addresses may be in private networks, and on this very machine "
        "without https",
    )
    fhir_open: bool = Field(
        False, description="anybody on this very machine may use /fhir without a login"
    )
    exports: str = Field(
        "fhirsvc-exports", description="the folder of bulk exports, which all processes share"
    )
    exports_keep_s: float = Field(
        86400.0, gt=0, description="how long an export is kept after it was asked for"
    )
    achievement_from_scores: bool = Field(
        False, description="goals' achievementStatus follows from targets and the client's scores"
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="of stderr")
    connect_timeout_s: float = Field(5.0, gt=0, description="to reach an EHR")
    read_timeout_s: float = Field(30.0, gt=0, description="for an EHR to answer")
    max_answer_bytes: int = Field(8_000_000, gt=0, description="the largest answer that is read")
    sweep_s: float = Field(1.0, gt=0, description="how often to look for what is due, when idle")
    dead_after_s: float = Field(
        12.0, gt=0, description="how long another process may be silent before it counts as dead"
    )
    stop_s: float = Field(20.0, ge=0, description="how long a stop waits for what is being sent")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def engine_database_url(self) -> str:
        """Where the engine keeps its jobs: an SQLite file of its own, or the same PostgreSQL."""
        if self.engine_url:
            return self.engine_url
        if self.database_url.startswith("sqlite"):
            head, _, options = self.database_url.partition("?")
            return f"{head}-engine" + (f"?{options}" if options else "")
        return self.database_url


def load(**given: Any) -> Settings:
    """The settings of this process; INVALID names the first one that is wrong, not its value."""
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise FhirsvcError(Category.INVALID, first["msg"], f"setting {name}") from None
    except ValueError as error:
        raise FhirsvcError(Category.INVALID, "not valid TOML", CONFIG_FILE) from error


def secret(reference: str) -> str:
    """The secret that ``env:NAME`` or ``file:PATH`` names; UNAUTHENTICATED when it is not there."""
    kind, _, name = reference.partition(":")
    if kind == "env" and name in os.environ:
        return os.environ[name]
    if kind == "file":
        try:
            return Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            pass
    raise FhirsvcError(Category.UNAUTHENTICATED, "the secret is not there", reference)

"""The functions' settings: the only reader of the environment here."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass

from marketdata.errors import SettingsError

VARIABLES = {
    "connections_table": "CONNECTIONS_TABLE",
    "keys_table": "KEYS_TABLE",
    "instruments_table": "INSTRUMENTS_TABLE",
    "archive_bucket": "ARCHIVE_BUCKET",
    "callback_url_stream": "CALLBACK_URL_STREAM",
    "region": "AWS_REGION",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the deployment tells a function; a variable that is not set is empty.

    Attributes:
        connections_table: `CONNECTIONS_TABLE`.
        keys_table: `KEYS_TABLE`.
        instruments_table: `INSTRUMENTS_TABLE`.
        archive_bucket: `ARCHIVE_BUCKET`.
        callback_url_stream: `CALLBACK_URL_STREAM`, the management API of the stage `stream`.
        region: `AWS_REGION`, which Lambda sets.
    """

    connections_table: str
    keys_table: str
    instruments_table: str
    archive_bucket: str
    callback_url_stream: str
    region: str

    def having(self, *names: str) -> "Settings":
        """Itself, when every named setting is there.

        Raises:
            SettingsError: names every variable that is missing.
        """
        missing = [VARIABLES[name] for name in names if not getattr(self, name)]
        if missing:
            raise SettingsError([f"the variable {name} is not set" for name in missing])
        return self


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in a mapping of variables."""
    return Settings(
        **{name: environment.get(variable, "") for name, variable in VARIABLES.items()},
    )


@functools.cache
def settings() -> Settings:
    """This process's settings, read once."""
    return read_settings(os.environ)

"""The only reader of the environment in the local stack."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads are kept for all clones: `TAPEDECK_CACHE`, else the user's cache."""
    given = os.environ.get("TAPEDECK_CACHE")
    if given:
        return Path(given).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "tapedeck"


def inherited() -> dict[str, str]:
    """The environment that a child process starts from."""
    return dict(os.environ)


def forget_accounts() -> None:
    """Take the user's AWS profile, credentials and endpoints out of this process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.devnull
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

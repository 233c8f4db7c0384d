"""S3Proxy over a folder: each object is a plain file, its metadata are extended attributes.

Its port is private: `local.s3_lock` stands before it (rule 19).

    folder ─► s3proxy.properties ─► java command
"""

import re
from pathlib import Path

from local.java import LOGGING, java_command

HEAP_MB = 256
TORN_WRITE = re.compile(r".*-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def properties(objects: Path, *, port: int) -> str:
    """No signature is checked: the lock in front is on loopback and changes the Host header."""
    settings = {
        "s3proxy.endpoint": f"http://127.0.0.1:{port}",
        "s3proxy.authorization": "none",
        "s3proxy.jetty.max-threads": 40,
        "s3proxy.max-single-part-object-size": 5 * 1024**3,
        "s3proxy.v4-max-non-chunked-request-size": 1024**3,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.identity": "local",
        "jclouds.credential": "local-secret",
        "jclouds.filesystem.basedir": objects,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def write_settings(data: Path, objects: Path, *, port: int) -> Path:
    """Write the settings below `data`; `objects` holds one folder a bucket."""
    objects.mkdir(parents=True, exist_ok=True)
    data.mkdir(parents=True, exist_ok=True)
    path = data / "s3proxy.properties"
    path.write_text(properties(objects, port=port))
    return path


def start_command(settings: Path) -> tuple[str, ...]:
    """Runs the server until SIGTERM."""
    return java_command(
        "s3",
        *("--properties", str(settings)),
        main_class="org.gaul.s3proxy.Main",
        heap_mb=HEAP_MB,
        options=(f"-Dlogback.configurationFile={LOGGING / 'logback.xml'}",),
    )


def remove_torn_writes(objects: Path) -> None:
    """Remove what a killed server was writing; only while it does not run.

    S3Proxy writes beside the object under a longer name and renames: what still has such a
    name was never answered. Uploads in progress are kept.
    """
    for path in objects.glob("*/data/**/*"):
        if TORN_WRITE.fullmatch(path.name) and path.is_file():
            path.unlink()

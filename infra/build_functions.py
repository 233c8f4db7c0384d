"""Stages the Lambda code in one folder, without Docker (rule 32).

requirements/functions.txt, functions/, marketdata/ ─► build/functions ─► Code.from_asset

    python -m infra.build_functions [--sources-only] [--output DIR]
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from marketdata.errors import BuildError, InputError, TapedeckError

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "functions.txt"
PACKAGES = ("functions", "marketdata")
PYTHON_VERSION = "3.14"
PLATFORM = "aarch64-manylinux2014"
STAMP = ".tapedeck-lock"
SERVICES = frozenset({"apigatewaymanagementapi", "dynamodb", "s3", "sts"})
"""The services whose models the functions load; botocore brings four hundred others, 25 MB."""

_DROPPED = ("__pycache__", "*.pyc", "bin", "tests", "Dockerfile", "*.dist-info/RECORD")


def stage(
    output: Path,
    *,
    lock: Path = LOCK,
    sources: Path = ROOT,
    sources_only: bool = False,
    installer_options: Sequence[str] = (),
) -> None:
    """Makes `output` what a function's zip contains; equal inputs give equal bytes.

    The dependencies are installed again only when the lock or the target has changed. With
    `sources_only` there are none: enough for a synthesis, useless for a deployment.

    Raises:
        InputError: `output` is a folder that something else has filled.
        BuildError: The installer failed.
    """
    if output.exists() and any(output.iterdir()) and not (output / STAMP).is_file():
        raise InputError(f"{output} is not empty and was not staged by this command; remove it")
    wanted = "sources only" if sources_only else _fingerprint(lock)
    if not _is_staged(output, wanted):
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        (output / STAMP).write_text("unfinished", encoding="utf-8")
        if not sources_only:
            _install(lock, output, installer_options)
            _prune(output)
    for package in PACKAGES:
        shutil.rmtree(output / package, ignore_errors=True)
        shutil.copytree(
            sources / package, output / package, ignore=shutil.ignore_patterns(*_DROPPED)
        )
    (output / STAMP).write_text(wanted, encoding="utf-8")


def _fingerprint(lock: Path) -> str:
    text = f"{PYTHON_VERSION} {PLATFORM} {sorted(SERVICES)}\n".encode() + lock.read_bytes()
    return hashlib.sha256(text).hexdigest()


def _is_staged(output: Path, wanted: str) -> bool:
    stamp = output / STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted


def _install(lock: Path, output: Path, options: Sequence[str]) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config"]
    command += ["--target", str(output), "--python-version", PYTHON_VERSION]
    command += ["--python-platform", PLATFORM, "--only-binary", ":all:", "--link-mode", "copy"]
    command += ["--require-hashes", "--no-deps", "--requirements", str(lock), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise BuildError(f"the installer uv cannot be started: {error}") from error
    if done.returncode:
        shutil.rmtree(output, ignore_errors=True)
        raise BuildError(
            f"the functions' dependencies could not be installed: {done.stderr.strip()}"
        )


def _prune(output: Path) -> None:
    """Drops what no function loads and what would make two builds differ."""
    for pattern in _DROPPED:
        for path in sorted(output.rglob(pattern), reverse=True):
            _remove(path)
    (output / ".lock").unlink(missing_ok=True)
    models = output / "botocore" / "data"
    if models.is_dir():
        for folder in models.iterdir():
            if folder.is_dir() and folder.name not in SERVICES:
                shutil.rmtree(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Stages the folder and says where it is; 2 for bad usage, 1 when the installer failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.build_functions")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "functions")
    parser.add_argument(
        "--sources-only", action="store_true", help="leave the dependencies out"
    )
    options = parser.parse_args(arguments)
    try:
        stage(options.output, sources_only=options.sources_only)
    except TapedeckError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InputError) else 1
    sys.stdout.write(f"staged {options.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

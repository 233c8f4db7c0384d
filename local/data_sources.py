"""Where the data of a folder came from, so that two tapes are never mixed in it.

exchange, source ─► <data>/sources.json ─► the same as before, or one sentence

Ids and times of one source do not go on where those of another ended: what comes under ids that
are there already would be taken for repeats, by the archive above all (rule 7).
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from local import kafka_server
from local.exchanges.recordings import RecordingFiles
from local.stack_settings import LIVE, StackSettings
from marketdata.errors import LocalError
from marketdata.topics import ARCHIVED

SIMULATION, ITSELF, RECORDING = "simulation", "exchange", "recording"
_WORDS = {SIMULATION: "the simulation", ITSELF: "the exchange itself"}
_SAMPLE = 64 * 1024


class _File(msgspec.Struct, frozen=True):
    """`sources` by exchange; a recording with what tells it from others."""

    what: str
    sources: dict[str, str]


_WHAT = "where the data of this folder came from"


def sources_of(
    settings: StackSettings, exchanges: Iterable[str], found: RecordingFiles | None
) -> dict[str, str]:
    """The source of each exchange of a start; `found` are the recordings of a replay."""
    if found is not None:
        return {name: f"{RECORDING} {_mark(found.paths(name))}" for name in found.venues}
    return dict.fromkeys(exchanges, ITSELF if settings.mode == LIVE else SIMULATION)


def claim(data: Path, sources: Mapping[str, str]) -> None:
    """Note that the folder gets data from these sources, unless it has some from others.

    Raises:
        LocalError: it has, or it cannot be written.
    """
    path = data / "sources.json"
    known = _read(path) if kafka_server.has_records(data / "kafka", ARCHIVED) else {}
    for exchange, source in sources.items():
        before = known.get(exchange, source)
        if before != source:
            raise LocalError(
                f"{data} has data of {exchange} from {_said(before)}, and those from "
                f"{_said(source, before)} cannot be told from them: choose another folder "
                f"with --data, or remove {data}"
            )
    try:
        path.write_bytes(msgspec.json.encode(_File(_WHAT, known | dict(sources))))
    except OSError as error:
        raise LocalError(f"{path} cannot be written: {error.strerror}") from error


def _read(path: Path) -> dict[str, str]:
    """What is known; a folder of an older version has no such file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).sources
    except (OSError, msgspec.DecodeError):
        return {}


def _said(source: str, before: str = "") -> str:
    if source in _WORDS:
        return _WORDS[source]
    return "another recording" if before.startswith(RECORDING) else "a recording"


def _mark(paths: Iterable[Path]) -> str:
    """The same for the same files, wherever they are and in whatever order."""
    marks = sorted(_mark_of(path) for path in paths)
    return hashlib.sha256("".join(marks).encode()).hexdigest()[:16]


def _mark_of(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = file.read(_SAMPLE)
        file.seek(max(0, size - _SAMPLE))
        return hashlib.sha256(b"%d" % size + begin + file.read()).hexdigest()

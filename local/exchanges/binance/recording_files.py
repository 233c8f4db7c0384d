"""Which files make a tape: paths, folders, and what belongs beside a cryptofeed `.ws` file."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local.exchanges.binance.recording import venue_of
from marketdata.errors import InputError

_SERVED = ("binance", "binance.us")


@dataclass(frozen=True, slots=True)
class RecordingFiles:
    """The files of one venue's tape, and the names in a folder that were passed over."""

    venue: str
    paths: tuple[Path, ...]
    passed_over: tuple[str, ...]


def find_recordings(given: Iterable[Path]) -> RecordingFiles:
    """Expand what was given; each file once.

    A folder stands for its recordings of Binance, other files in it are passed over. A `.ws`
    file brings the `.http` and `.exchangeInfo` files of the same name with it.

    Raises:
        InputError: nothing to play, another exchange's file, two venues, or an unreadable path.
    """
    venues: dict[Path, str] = {}
    passed_over: list[str] = []
    for path in given:
        if path.is_dir():
            _from_folder(path, venues, passed_over)
        else:
            for one in (path, *_beside(path)):
                venues[one] = _served(one)
    if not venues:
        raise InputError(f"no recording of Binance in {', '.join(map(str, given))}")
    if len(set(venues.values())) > 1:
        names = ", ".join(f"{path.name} ({venue})" for path, venue in venues.items())
        raise InputError(f"recordings of two venues cannot be one tape: {names}")
    return RecordingFiles(next(iter(venues.values())), tuple(venues), tuple(passed_over))


def _served(path: Path) -> str:
    venue = venue_of(path)
    if venue not in _SERVED:
        raise InputError(
            f"{path} is a recording of {venue}, which cannot be replayed: "
            "only binance and binance.us can"
        )
    return venue


def _from_folder(folder: Path, venues: dict[Path, str], passed_over: list[str]) -> None:
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        try:
            venues[path] = _served(path)
        except InputError:
            passed_over.append(path.name)


def _beside(path: Path) -> list[Path]:
    prefix, separator, _ = path.name.partition(".ws.")
    if not separator:
        return []
    return [
        other
        for other in sorted(path.parent.iterdir())
        if other.name.startswith((f"{prefix}.http.", f"{prefix}.exchangeInfo."))
    ]

"""Which files make the tapes: paths, folders, and what belongs beside a `.ws` file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from local.exchanges.recordings.reading import venue_of
from marketdata.errors import InputError

_BESIDE = ("http", "exchangeInfo", "products", "instruments")


@dataclass(slots=True)
class RecordingFiles:
    """The files of each exchange's tape, and the names in folders that were passed over."""

    venues: dict[str, dict[Path, str]] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)

    def paths(self, exchange: str) -> tuple[Path, ...]:
        """An exchange's files."""
        return tuple(self.venues.get(exchange, ()))


def find_recordings(given: Iterable[Path], replays: Callable[[str], bool]) -> RecordingFiles:
    """Expand what was given; each file once, by exchange.

    A folder stands for its recordings that can be replayed, other files in it are passed over.
    A `.ws` file brings the answers that were recorded beside it under the same name.

    Raises:
        InputError: nothing to play, an exchange that cannot be replayed, two venues of one
            exchange, or an unreadable path.
    """
    found = RecordingFiles()
    given = list(given)
    for path in given:
        if path.is_dir():
            _from_folder(found, path, replays)
        else:
            for one in (path, *_beside(path)):
                _take(found, one, replays)
    if not found.venues:
        raise InputError(f"no recording in {', '.join(map(str, given))} can be replayed")
    for exchange, venues in found.venues.items():
        if len(set(venues.values())) > 1:
            names = ", ".join(f"{path.name} ({venue})" for path, venue in venues.items())
            raise InputError(
                f"recordings of two venues cannot be one tape of {exchange}: {names}"
            )
    return found


def _take(found: RecordingFiles, path: Path, replays: Callable[[str], bool]) -> None:
    venue = venue_of(path)
    exchange = venue.removesuffix(".us")
    if not replays(exchange):
        raise InputError(f"{path} is a recording of {venue}, which cannot be replayed")
    found.venues.setdefault(exchange, {})[path] = venue


def _from_folder(found: RecordingFiles, folder: Path, replays: Callable[[str], bool]) -> None:
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        try:
            _take(found, path, replays)
        except InputError:
            found.passed_over.append(path.name)


def _beside(path: Path) -> list[Path]:
    prefix, separator, _ = path.name.partition(".ws.")
    if not separator:
        return []
    starts = tuple(f"{prefix}.{kind}." for kind in _BESIDE)
    return [other for other in sorted(path.parent.iterdir()) if other.name.startswith(starts)]

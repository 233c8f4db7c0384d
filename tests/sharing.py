"""How the tests are shared out among the workers of `make test`. Loaded by conftest.py."""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {"tests/infra"}
"""Folders whose modules share what is dear (the CDK's templates): for one worker alone."""
LONG_FIRST = (
    "tests/e2e",
    "tests/faults",
    "tests/infra",
    "tests/documents",
    "tests/local",
    "tests/archive",
    "tests/pipeline",
    "tests/capture",
)
"""Folders that begin first, so that nobody is left with the longest in the end."""


def folder_of(nodeid):
    """`tests/infra/test_x.py::test_y` → `tests/infra`."""
    return "/".join(nodeid.split("/")[:2])


def place(nodeid):
    """Where a test comes in the order; equal for those that may come in any."""
    folder = folder_of(nodeid)
    return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)


class FolderScheduling(LoadScopeScheduling):
    """`--dist loadscope`, where some folders are one scope."""

    def _split_scope(self, nodeid):
        folder = folder_of(nodeid)
        return folder if folder in TOGETHER else nodeid.partition("::")[0]

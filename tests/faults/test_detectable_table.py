"""What docs/completeness.md says of losses is what the fault plan wants."""

import re
from pathlib import Path

from detectable import DETECTABLE
from plan import STREAMS

from container_worker.exchanges import REGISTRY

PAGE = Path(__file__).parents[2] / "docs/completeness.md"


def test_every_type_of_every_exchange_and_layout_has_a_row() -> None:
    rows = {
        (f"{name} {wire}".strip(), type_)
        for name, adapter in REGISTRY.items()
        for wire, variant in (adapter.variants or {"": adapter}).items()
        for type_ in variant.types
    }
    assert set(DETECTABLE) == rows


def test_ids_of_an_exchange_are_what_names_a_single_lost_message() -> None:
    for (name, type_), row in DETECTABLE.items():
        exchange, _, wire = name.partition(" ")
        adapter = REGISTRY[exchange]
        numbering = adapter.variants.get(wire, adapter).numbering[type_]
        assert (row.message == "ids") == (numbering == "exchange"), (name, type_)


def test_the_plan_hits_every_stream_of_the_table() -> None:
    wanted = {(name.partition(" ")[0], row.stream) for (name, _), row in DETECTABLE.items()}
    made = {(name, stream) for name, streams in STREAMS.items() for stream in streams}
    assert wanted <= made


def test_the_page_says_what_the_table_of_the_code_says() -> None:
    said = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            said[cells[0], cells[1].strip("`")] = cells[3:]
    assert set(said) == set(DETECTABLE)
    for unit, row in DETECTABLE.items():
        for cell, word in zip(said[unit], (row.message, row.connection), strict=True):
            assert re.split(r"[,;:]| (?=in )", cell)[0] == word, unit

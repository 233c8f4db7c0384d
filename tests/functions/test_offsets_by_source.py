"""Both forms of offsets are read as they were written."""

from hypothesis import given
from hypothesis import strategies as st

from functions.offsets_by_source import offsets_in, offsets_map, offsets_of, offsets_text
from marketdata.ring_items import Source
from marketdata.topics import TOPICS

SOURCES = st.builds(Source, st.sampled_from(sorted(TOPICS)), st.integers(0, 99))


@given(st.dictionaries(SOURCES, st.integers(0, 2**63)))
def test_offsets_are_read_as_they_were_written(offsets):
    assert offsets_of(offsets_map(offsets)) == offsets
    assert offsets_in(offsets_text(offsets)) == offsets

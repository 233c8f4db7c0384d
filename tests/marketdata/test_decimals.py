"""Exact decimal texts, against Python's own Decimal as the independent computation."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.decimals import MAX_DIGITS, is_zero, plain, product
from marketdata.errors import DecodeError

plain_texts = st.builds(
    lambda sign, whole, part: f"{sign}{whole}" + (f".{part}" if part else ""),
    st.sampled_from(["", "-"]),
    st.integers(min_value=0, max_value=10**20).map(str),
    st.text(alphabet="0123456789", max_size=18),
)


@given(plain_texts, plain_texts)
def test_a_product_is_exact_and_has_no_trailing_zeros(left: str, right: str) -> None:
    text = product(left, right)
    with localcontext(prec=200):
        assert Decimal(text) == Decimal(left) * Decimal(right)
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))
    assert plain(text) == text


@given(plain_texts)
def test_plain_numbers_come_back_with_the_same_digits(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("given_text", "written_out"),
    [
        ("1.6E-7", "0.00000016"),
        ("5.892E-4", "0.0005892"),
        ("1E+3", "1000"),
        ("-2.50e2", "-250"),
        ("0E-8", "0.00000000"),
        ("+1.50", "1.50"),
        (".5", "0.5"),
        ("5.", "5"),
        ("007.10", "7.10"),
    ],
)
def test_exponents_are_written_out(given_text: str, written_out: str) -> None:
    assert plain(given_text) == written_out


BAD = [
    *("", "NaN", "Infinity", "1,5", "0x10", "1e99999999", "--1"),
    *("1_000", " 1", "1 ", "\u0661", ".", "1e", "e5", "+", "1e+"),
    *("1" * (MAX_DIGITS + 1), "0." + "1" * MAX_DIGITS, "1." + "1" * 90 + "e-60"),
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_usable_number_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        plain(text)


@given(plain_texts)
def test_zero_is_zero_at_any_scale(text: str) -> None:
    assert is_zero(text) == (Decimal(text) == 0)

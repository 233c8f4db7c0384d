"""Numbers as the exchange prints them, which is as Java prints a double (protocols 3.5)."""

from decimal import Decimal

from local.exchanges.fixed_point import UNIT

_SMALLEST, _LARGEST = -3, 7


def java_text(number: Decimal) -> str:
    """`200.0`, `8501.1`; below 10^-3 and from 10^7 on `1.6E-7`, `1.0E7`; no digit is lost."""
    if not number:
        return "0.0"
    exponent = number.adjusted()
    if _SMALLEST <= exponent < _LARGEST:
        return _with_point(number)
    return f"{_with_point(number.scaleb(-exponent))}E{exponent}"


def java_units(units: int) -> str:
    """The same of a whole number of 10^-8."""
    return java_text(Decimal(units) / UNIT)


def _with_point(number: Decimal) -> str:
    text = f"{number.normalize():f}"
    return text if "." in text else f"{text}.0"

"""Prices and quantities as whole numbers of 10^-8, in text with the digits of an exchange."""

UNIT = 100_000_000


def fixed8(units: int) -> str:
    """Text with exactly eight fraction digits: 6173763000000 is `61737.63000000`."""
    return f"{units // UNIT}.{units % UNIT:08d}"


def fixed(units: int, digits: int | None) -> str:
    """Text with so many fraction digits (0 to 8), or with as few as it needs for None.

    What the digits cannot say is cut off: a price is a multiple of its tick.
    """
    text = fixed8(units)
    if digits == 8:
        return text
    if digits is None:
        return text.rstrip("0").rstrip(".")
    return text[: digits - 8] if digits else text[:-9]


def units8(text: str) -> int:
    """The inverse of `fixed`; fewer fraction digits are accepted.

    Raises:
        ValueError: the text is no plain decimal, or has more than eight fraction digits.
    """
    whole, _, fraction = text.partition(".")
    if len(fraction) > 8:
        raise ValueError(f"{text} has more than eight fraction digits")
    return int(whole + fraction.ljust(8, "0"))


def is_zero(text: str) -> bool:
    """Whether a quantity removes its level."""
    return not text.strip("0.")

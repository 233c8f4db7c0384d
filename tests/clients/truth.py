"""The simulator's truth and a library's account of it, in one shape."""

from decimal import Decimal

SIDES = ("bids", "asks")


def levels(book):
    """Both sides, best first, as exact prices and quantities."""
    return {
        side: [(Decimal(level[0]), Decimal(level[1])) for level in book[side]] for side in SIDES
    }


def cut_to(book, depth):
    """The best of both sides."""
    return {side: rows[:depth] for side, rows in book.items()}

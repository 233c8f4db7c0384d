"""Binance spot as its clients see it (protocols 1): a seeded market or a recorded tape."""

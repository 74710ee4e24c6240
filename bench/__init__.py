"""Measures what README's performance table says: ``python -m bench`` (or ``make bench``)."""

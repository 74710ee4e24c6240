"""Measures the table of docs/performance.md: ``python -m bench`` (or ``make bench``)."""

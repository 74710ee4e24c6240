"""Measurements: ``python -m bench`` (or ``make bench``) measures the table of docs/performance.md."""

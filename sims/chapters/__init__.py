"""Chapters of the documentation whose figures are computed: `make chapter`."""

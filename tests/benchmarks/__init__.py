"""Benchmarks, one file per topic: `make bench`."""

"""Faults put into the arithmetic of the pools one at a time: a test has to notice each."""

"""Scenarios run: on threads, processes or other machines, written down part by part, taken up."""

"""Faults made on purpose: crashes, power cuts, full disks, lost connections."""

"""Simulations asked for over HTTP: kept in a folder, run by processes of their own."""

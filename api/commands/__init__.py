"""The commands that run and guard a server."""

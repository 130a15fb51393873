"""Where everything is kept: SQLite or PostgreSQL, named by one URL, written by one process."""

"""The service: the single writer, its journal, and the commands that use them."""

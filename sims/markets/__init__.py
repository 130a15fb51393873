"""Price paths to run the exchange on: replayed from history, or simulated."""

"""The same pools promising stock tokens or dollars, when a stock opens far from its close."""

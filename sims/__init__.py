"""Studies: markets, behaviour and statistics around the exchange's own rules."""

"""What the exchange knows, as what crosses the wire: pure functions of its memory."""

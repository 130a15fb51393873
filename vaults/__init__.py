"""Money: what every command of the exchange does to balances, positions and pools."""

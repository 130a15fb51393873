"""Prices: pure functions of their inputs. The lowest layer of the house."""

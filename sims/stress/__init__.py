"""The stress library: scenarios with claims, run and judged."""

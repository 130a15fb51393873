"""The drawdown study: pools over many market paths, run by the exchange's own kernels."""

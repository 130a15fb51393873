"""Reports of drawdown studies: figures with errors, charts, replays of the worst paths, a page."""

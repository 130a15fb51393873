"""Many runs of one scenario: sweeps, tornado, frontier, and the search for a limit's setting."""

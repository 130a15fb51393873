"""Scenarios as files: what they may say, those shipped, and how they become what is run."""

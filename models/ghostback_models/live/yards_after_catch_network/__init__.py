"""A small network for a distribution over whole yards after the catch."""

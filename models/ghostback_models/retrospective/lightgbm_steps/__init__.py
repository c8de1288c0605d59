"""Gradient-boosted trees for each step's departure from constant velocity."""

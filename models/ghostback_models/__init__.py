"""Ghostback's built-in model plugins."""

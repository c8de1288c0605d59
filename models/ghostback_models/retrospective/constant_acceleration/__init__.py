"""Everybody goes on at his velocity and, for a moment, at his acceleration."""

"""Everybody goes on at his velocity."""

"""Boosted trees for completion and interception, calibrated."""

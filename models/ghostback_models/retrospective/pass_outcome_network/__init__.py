"""A small network for completion and interception, calibrated."""

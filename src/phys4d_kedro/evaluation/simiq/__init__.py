"""SimIQ: Physics-IQ's protocol on simulated scenes that no training sees, from a frozen list; docs/simiq.md."""

TAKES, STILL = "takes", "still"
"""Not models: the second take, which is what chance allows, and the first frame standing still."""

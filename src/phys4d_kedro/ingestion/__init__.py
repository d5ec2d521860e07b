"""Real videos and other simulators' outputs as clips."""

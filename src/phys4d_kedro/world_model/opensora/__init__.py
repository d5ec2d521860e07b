"""Open-Sora v1.2: a clean implementation whose parameters carry the names of the published checkpoints."""

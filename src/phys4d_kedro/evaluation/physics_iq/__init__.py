"""Physics-IQ (Motamed et al., 2025) and Physics-IQ Verified (2026): generated videos against real ones."""

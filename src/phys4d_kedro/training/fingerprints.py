"""Fingerprints: what a training result depends on, as one hash."""

import hashlib
import json

from pydantic import BaseModel


def fingerprint_of(*parts: str | BaseModel) -> str:
    """SHA-256 of hashes (strings) and parameters (models), in order."""
    plain = [part if isinstance(part, str) else part.model_dump(mode="json") for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

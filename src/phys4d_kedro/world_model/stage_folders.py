"""The folder of a trained stage: seed_<n>/{depth,motion}, its heads, and seed_<n>/lora where it has an adapter."""

import re
from pathlib import Path

from phys4d_kedro.errors import CheckpointError

_SEED = re.compile(r"seed_(\d+)")
_ADAPTER = "lora"


def seed_folders(stage: Path) -> dict[int, Path]:
    """The folders of a stage by training seed, in order. Raises CheckpointError where there are none."""
    found = {int(match[1]): folder for folder in stage.glob("*") if (match := _SEED.fullmatch(folder.name))}
    if not found:
        raise CheckpointError(
            f"there is no trained stage in {stage} (seed_<n>/...); kedro run --pipeline=pretrain makes stage 1, sft "
            f"stage 2, rl stage 3, and appearance_control the control"
        )
    return dict(sorted(found.items()))


def adapter_folder(folder: Path) -> Path | None:
    """Where the adapter of one seed's folder lies; None where it has none, and the backbone is the base as it is."""
    adapter = folder / _ADAPTER
    return adapter if adapter.is_dir() else None

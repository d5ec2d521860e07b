"""Folders of stages as if they were trained: random heads, and adapters of random weights."""

from pathlib import Path

import torch

from phys4d_kedro.world_model.lora_files import save_lora
from tests.world_model.lora_cases import CARD, move, with_lora
from tests.world_model.tiny_heads import write_heads

STAGES = ("stage1", "appearance_control", "sft", "rl")


def write_stage(backbone: Path, folder: Path, *, heads: int, adapter: int | None) -> Path:
    """Heads and, where it has a number, an adapter, each made of its number alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(heads)
        write_heads(backbone, folder)
    if adapter is not None:
        adapted = with_lora(backbone)
        move(adapted.transformer, seed=adapter)
        save_lora(adapted, folder / "lora", card=CARD)
    return folder


def write_stages(backbone: Path, root: Path, seeds: int = 2) -> dict[str, Path]:
    """All stages, by name, each of several seeds; the first has no adapters."""
    for index, stage in enumerate(STAGES):
        for seed in range(seeds):
            adapter = 10 * index + seed if index else None
            write_stage(backbone, root / stage / f"seed_{seed}", heads=10 * index + seed, adapter=adapter)
    return {stage: root / stage for stage in STAGES}

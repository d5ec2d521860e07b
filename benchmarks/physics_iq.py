"""Physics-IQ: time and peak memory per video, beside a straightforward OpenCV implementation of the same rules.

    python benchmarks/physics_iq.py                                    # 3840x2160, 150 frames, 2 processes
    python benchmarks/physics_iq.py --width 480 --height 270 --frames 30 --only-print

Two views of one scenario, with two takes and a generated video each: six videos. The straightforward implementation
writes the masks of every video, then reads videos and masks of a view into memory (frames as float64), like the
official evaluator. Every measurement has a process of its own; the memory of several processes is added up.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _conf import ROOT
from _scale import markdown, number

FILE = ROOT / "benchmarks" / "results" / "physics_iq.json"
VIEWS = ("perspective-left", "perspective-center")
KERNEL = np.ones((5, 5), np.uint8)
FPS = 30
Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=3840)
    parser.add_argument("--height", type=int, default=2160)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only-print", action="store_true", help="leave benchmarks/results as it is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart(write_videos, folder, options.width, options.height, options.frames)
        rows = {
            "straightforward": apart(straightforward, folder, options.frames),
            "ours, 1 process": apart(ours, folder, options.frames, 1, True),
            f"ours, {options.jobs} processes": apart(ours, folder, options.frames, options.jobs, True),
            f"ours, {options.jobs} processes, in memory": apart(ours, folder, options.frames, options.jobs, False),
        }
    plain = rows["straightforward"]
    exact = [row["score"] for label, row in rows.items() if "in memory" not in label]
    if max(exact) - min(exact) > 1e-9:
        raise ValueError(f"the implementations disagree: {exact}")
    head = ["", "s a video", "CPU s", "times faster", "peak MB", "of the memory", "verified score"]
    lines = [
        [
            label,
            number(row["seconds"]),
            number(row["cpu_seconds"]),
            number(plain["seconds"] / row["seconds"]),
            number(row["megabytes"]),
            f"1/{plain['megabytes'] / row['megabytes']:.1f}",
            f"{row['score']:.4f}",
        ]
        for label, row in rows.items()
    ]
    print(markdown(head, lines))
    if not options.only_print:
        size = {key: getattr(options, key) for key in ("width", "height", "frames")}
        FILE.write_text(json.dumps({"size": size, "rows": rows}, indent=2) + "\n")


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a process of its own; with seconds per video and megabytes where the result is a score."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, function, *arguments).result()


def measured(function: Callable[..., Any], *arguments: Any) -> Any:
    """In that process."""
    started = time.monotonic()
    score = function(*arguments)
    if score is None:
        return None
    seconds = time.monotonic() - started
    jobs = arguments[2] if function is ours else 1
    if jobs > 1:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown()
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    videos = 3 * len(VIEWS)
    return {
        "seconds": seconds / videos,
        "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for usage in (own, workers)) / videos,
        "megabytes": (own.ru_maxrss + (jobs * workers.ru_maxrss if jobs > 1 else 0)) / 1e3,
        "score": score,
    }


def write_videos(folder: Path, width: int, height: int, frames: int) -> None:
    """A textured wall before which a disc and a box move, a little otherwise in every video; H.264."""
    import av
    import cv2

    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(60, 130, (height // 8, width // 8, 3)).astype(np.uint8), (width, height))
    for v, view in enumerate(VIEWS):
        for take, path in enumerate(paths(folder, v, view)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with av.open(str(path), "w") as container:
                stream = container.add_stream("libx264", rate=FPS)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.options = {"preset": "veryfast", "crf": "20"}
                for t in range(frames):
                    x = int(width * (0.1 + 0.7 * t / frames + 0.01 * take))
                    y = int(height * (0.3 + 0.1 * v + 0.4 * (t / frames) ** 2))
                    image = cv2.circle(wall.copy(), (x, y), height // 8, (40, 60, 230), -1)
                    corner = (width - x, height // 2)
                    cv2.rectangle(image, corner, (corner[0] + width // 10, corner[1] + height // 6), (230, 200, 30), -1)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
                container.mux(stream.encode(None))


def paths(folder: Path, v: int, view: str) -> tuple[Path, Path, Path]:
    """Take 1, take 2, and the generated video."""
    real = folder / "set" / "split-videos" / "testing-videos" / "30FPS"
    takes = [real / f"{v + 1 + 2 * i:04d}_testing-videos_30FPS_{view}_take-{i + 1}_ball.mp4" for i in (0, 1)]
    return takes[0], takes[1], folder / "generated" / f"{v + 1:04d}_{view}_ball.mp4"


def ours(folder: Path, frames: int, jobs: int, exact: bool) -> float:
    """The evaluator of this project, without anything in its cache."""
    from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig
    from phys4d_kedro.evaluation.physics_iq.evaluate import evaluate
    from phys4d_kedro.evaluation.physics_iq.report import summarise

    with tempfile.TemporaryDirectory(dir=folder) as cache:
        config = PhysicsIqConfig(
            dataset_dir=str(folder / "set"),
            generated_dir=str(folder / "generated"),
            output=f"{cache}/scores.json",
            cache_dir=cache,
            seconds=frames / FPS,
            jobs=jobs,
            exact=exact,
        )
        return float(summarise(evaluate(config), config)["verified"]["score"])


def straightforward(folder: Path, frames: int) -> float:
    """Verified score of the same videos."""
    ratios = []
    for v, view in enumerate(VIEWS):
        videos = paths(folder, v, view)
        masks = [write_masks(path, folder / f"masks_{i}.mp4") for i, path in enumerate(videos)]
        height, width = load(videos[0], 1)[0].shape[:2]
        size = (width // 4, height // 4)
        images = [[frame / 255.0 for frame in load(path, frames, size)] for path in videos]
        moving = [[(mask > 127).astype(np.uint8) for mask in load(path, frames, size)] for path in masks]
        model, variance = (compare(images[0], images[i], moving[0], moving[i]) for i in (2, 1))
        shares = [
            (variance[0] + 1e-8) / model[0],
            *(m / (s + 1e-8) for m, s in zip(model[1:], variance[1:], strict=True)),
        ]
        ratios.append([min(share, 1.0) for share in shares])
    return 100 * float(np.mean(ratios))


def write_masks(path: Path, target: Path) -> Path:
    """The official masks of a video, as a video."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    size = [int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), FPS, size, isColor=False)
    background = None
    while True:
        read, frame = capture.read()
        if not read:
            break
        grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), (5, 5), 0)
        if background is None:
            background = grey.astype(np.float64)
            writer.write(np.zeros_like(grey))
            continue
        cv2.accumulateWeighted(grey, background, 0.3)
        change = cv2.absdiff(grey, cv2.convertScaleAbs(background))
        mask = cv2.threshold(change, 10, 255, cv2.THRESH_BINARY)[1]
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, KERNEL)
        writer.write(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, KERNEL))
    writer.release()
    return target


def load(path: Path, frames: int, size: tuple[int, int] | None = None) -> list[Any]:
    """Frames of a video, in memory."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    found: list[Any] = []
    while len(found) < frames:
        read, frame = capture.read()
        if not read:
            break
        found.append(frame if size is None else cv2.resize(frame, size))
    return found


def compare(images: list[Any], others: list[Any], masks: list[Any], moving: list[Any]) -> list[float]:
    """MSE and spatiotemporal IoU, means of frames rounded to 4 decimals; spatial and weighted IoU."""
    squares = [np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2) for a, b in zip(images, others, strict=True)]
    overlaps = [iou(a, b) for a, b in zip(masks, moving, strict=True)]
    often, other = (np.asarray(np.sum(m, axis=0, dtype=np.uint16) / len(m)) for m in (masks, moving))
    return [
        float(np.mean([round(float(value), 4) for value in squares])),
        float(np.mean([round(value, 4) for value in overlaps])),
        iou(np.max(masks, axis=0), np.max(moving, axis=0)),
        float(np.sum(np.minimum(often, other)) / np.sum(np.maximum(often, other))),
    ]


def iou(mask: Any, other: Any) -> float:
    union = np.logical_or(mask, other).sum()
    return float(np.logical_and(mask, other).sum() / union) if union else 1.0


if __name__ == "__main__":
    main()

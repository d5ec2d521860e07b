"""Chamfer distances against brute force in PyTorch and SciPy's k-d tree: time and peak memory, on one CPU thread.

    python benchmarks/chamfer.py

4D: N tracks of T frames against as many; brute force holds all distances (T, N, N) at once, where they fit 4 GB, and is
made frame by frame beyond. Per frame: N points against as many; brute force in chunks, SciPy's tree with its defaults.
Points fill a cube of 2 m, float32. Times are the best of the repeats; each measurement of memory has a process of its
own, and is the peak beyond what it held before.
"""

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from _conf import ROOT
from _scale import markdown, number
from scipy.spatial import KDTree

from phys4d_kedro.geometry.chamfer import chamfer_4d, chamfer_per_frame

FILE = ROOT / "benchmarks" / "results" / "chamfer.json"
TRACKS = [(17, 128), (17, 512), (17, 4096), (81, 4096)]  # frames, tracks
POINTS = [64, 256, 1024, 10_000, 100_000]
MOST_BYTES, MOST_PAIRS = 4e9, 4e8  # brute force beyond is made frame by frame, or not at all
BUDGET_S = 0.5  # of repeats
EXACT = "donot_use_mm_for_euclid_dist"
Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def main() -> None:
    rows = [measure("4D", *size) for size in TRACKS] + [measure("per frame", 1, n) for n in POINTS]
    result = {"torch": torch.__version__, "rows": rows}
    FILE.write_text(json.dumps(result, indent=2) + "\n")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    print(markdown(columns, [[entry(row.get(column, "")) for column in columns] for row in rows]))


def entry(value: str | float) -> str:
    """A table's cell: three digits of what was measured, anything else as it is."""
    return number(value) if isinstance(value, float) else str(value)


def measure(kind: str, frames: int, count: int) -> dict[str, Any]:
    """Milliseconds, megabytes and the value of every way to compute one distance."""
    row: dict[str, Any] = {"distance": kind, "frames": frames, "tracks or points": count}
    values = []
    for name in METHODS[kind]:
        if name == "brute force" and kind == "per frame" and count**2 > MOST_PAIRS:
            continue
        with multiprocessing.get_context("fork").Pool(1) as pool:
            milliseconds, megabytes, value = pool.apply(in_process, (kind, name, frames, count))
        row |= {f"{name}, ms": milliseconds, f"{name}, MB": megabytes}
        values.append(value)
    if max(values) - min(values) > 1e-4 * max(values):
        raise ValueError(f"{kind} distance of {count}: the methods disagree, {values}")
    return row


def in_process(kind: str, name: str, frames: int, count: int) -> tuple[float, float, float]:
    """Best milliseconds, peak megabytes in addition, and the value."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    P, Q = (2 * torch.rand(frames, count, 3, generator=generator) for _ in range(2))
    method = METHODS[kind][name]
    method(P[:, :8], Q[:, :8])  # what is loaded once
    before, spent, best = peak(), 0.0, float("inf")
    while spent < BUDGET_S:
        started = time.process_time()
        value = float(method(P, Q))
        best = min(best, time.process_time() - started)
        spent += time.process_time() - started
    return 1e3 * best, peak() - before, value


def peak() -> float:
    """Most megabytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(P: torch.Tensor, Q: torch.Tensor) -> torch.Tensor:
    return chamfer_per_frame(P, Q).mean()


def brute_4d(P: torch.Tensor, Q: torch.Tensor) -> torch.Tensor:
    if 4 * len(P) * P.shape[1] * Q.shape[1] <= MOST_BYTES:
        mean = torch.cdist(P, Q, compute_mode=EXACT).mean(0)
    else:
        mean = torch.zeros(P.shape[1], Q.shape[1])
        for p, q in zip(P, Q, strict=True):
            mean += torch.cdist(p, q, compute_mode=EXACT) / len(P)
    return mean.min(1).values.mean() + mean.min(0).values.mean()


def brute_per_frame(P: torch.Tensor, Q: torch.Tensor) -> torch.Tensor:
    total, of_q = P.new_zeros(()), P.new_full((Q.shape[1],), torch.inf)
    for chunk in P[0].split(1024):
        distances = torch.cdist(chunk, Q[0], compute_mode=EXACT)
        total = total + distances.min(1).values.sum()
        of_q = torch.minimum(of_q, distances.min(0).values)
    return total / P.shape[1] + of_q.mean()


def tree_per_frame(P: torch.Tensor, Q: torch.Tensor) -> torch.Tensor:
    p, q = P[0].numpy(), Q[0].numpy()
    return torch.as_tensor(KDTree(q).query(p)[0]).mean() + torch.as_tensor(KDTree(p).query(q)[0]).mean()


METHODS: dict[str, dict[str, Distance]] = {
    "4D": {"ours": chamfer_4d, "brute force": brute_4d},
    "per frame": {"ours": ours, "brute force": brute_per_frame, "k-d tree": tree_per_frame},
}

if __name__ == "__main__":
    main()

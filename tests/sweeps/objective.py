"""A trial that takes no time: `python -m tests.sweeps.objective <folder> <values as JSON>`.

`mode` says how it ends: by its figures, by a fault, by a kill in its first attempt, or once the file `go` is there.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from phys4d_kedro.training.trial_files import TrialPrunedError, worth_going_on


def main(folder: Path, values: dict[str, float]) -> None:
    """Leave `metrics.json`, where nothing prevents it."""
    mode, x = str(values.get("mode", "figures")), float(values["x"])
    study = folder.parent
    if mode == "fault":
        raise RuntimeError(f"x of {x} is too much")
    if mode == "killed" and not (study / "killed").exists():
        child = subprocess.Popen(["sleep", "600"])
        (study / "killed").write_text(str(child.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "waiting":
        (folder / "process").write_text(str(os.getpid()))
        while not (study / "go").exists():
            time.sleep(0.05)
    if mode == "trained":
        for number in range(3):
            if not worth_going_on({"step": number, "loss": x}):
                raise TrialPrunedError("enough") if x < 5 else RuntimeError("broke while it was stopped")
    (folder / "metrics.json").write_text(json.dumps({"score": {"distance": (x - 3) ** 2, "height": x}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))

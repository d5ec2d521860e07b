"""The process of a trial: `python -m phys4d_kedro.sweeps.trial_process <error file> <module> <arguments>`.

Runs the module as `python -m` would. Whatever it raises is left in the error file, and it does not outlive the sweep
that started it: that holds the other end of its standard input.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path

from phys4d_kedro.training.trial_files import TrialPrunedError

PRUNED_STATUS = 75
"""Exit status of a trial that was ended early."""


def main(error_file: Path, module: str, arguments: list[str]) -> None:
    """Run the module; the process is the leader of a group of its own, which ends with it."""
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:
        if _is_pruned(error):
            sys.exit(PRUNED_STATUS)
        error_file.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        raise


def _is_pruned(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, TrialPrunedError):
        error = error.__cause__  # Kedro wraps what datasets raise
    return error is not None


def _end_with_the_sweep() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

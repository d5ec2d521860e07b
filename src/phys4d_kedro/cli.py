"""Commands of the project beside Kedro's own: `kedro sweep`. Heavy packages are imported when a command runs."""

import signal
import sys
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.utils import CONTEXT_SETTINGS, _split_params

SWEEPS = Path("data/09_sweeps")
REPORTS = Path("data/08_reporting/sweeps")


@click.group(context_settings=CONTEXT_SETTINGS, name="phys4d_kedro")
def cli() -> None:
    """Commands of this project."""


@cli.command()
@click.option("--pipeline", required=True, help="What a trial runs; several pipelines by commas.")
@click.option("--sweep", required=True, help="What is searched: conf/base/sweeps/<name>.yml.")
@click.option("--trials", required=True, type=click.IntRange(min=0), help="Trials that the study has in the end.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Trials at a time.")
@click.option(
    "--storage", default=str(SWEEPS / "journal.log"), show_default=True, help="Journal, or URL of a database."
)
@click.option("--study", default=None, help="Name of the study; that of the sweep otherwise.")
@click.option("--env", "-e", default=None, help="Kedro environment of the trials.")
@click.option("--params", default="", callback=_split_params, help="Parameters of all trials, as in `kedro run`.")
@click.option("--write-best", default=None, metavar="ENV", help="Write the best trial to conf/ENV.")
def sweep(
    *,
    pipeline: str,
    sweep: str,
    trials: int,
    jobs: int,
    storage: str,
    study: str | None,
    env: str | None,
    params: dict[str, Any],
    write_best: str | None,
) -> None:
    """Search parameters: each trial is a run of its own. The same command again goes on where it was."""
    from phys4d_kedro.hooks import show_user_errors_without_traceback
    from phys4d_kedro.sweep_trials import KedroTrials
    from phys4d_kedro.sweeps.config import read_sweep
    from phys4d_kedro.sweeps.overlay import check_environment, write_overlay
    from phys4d_kedro.sweeps.report import summary, write_report
    from phys4d_kedro.sweeps.space import dotted
    from phys4d_kedro.sweeps.studies import best_trial, open_storage, open_study
    from phys4d_kedro.sweeps.supervisor import Supervisor

    show_user_errors_without_traceback()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM; the same command again goes on"))
    conf, names, name = Path("conf"), pipeline.split(","), study or sweep
    if write_best is not None:
        check_environment(conf / write_best)
    config, file = read_sweep(sweep, conf, ["base", env or "local"])
    runs = KedroTrials(Path.cwd(), names, env, params)
    runs.check(config, file)
    circumstances = {"pipelines": names, "environment": env or "local", "shared parameters": params}
    opened = open_study(name, config, open_storage(storage), circumstances)
    objectives, report = [objective.name for objective in config.objectives], REPORTS / f"{name}.html"
    try:
        Supervisor(opened, config, SWEEPS / name, runs).run(trials=trials, jobs=jobs)
    finally:
        write_report(opened, objectives, report)
    click.echo(f"Study {name}: {summary(opened)}. Report: {report}")
    best = best_trial(opened)
    if best is None and (trials or write_best):
        sys.exit("No trial is complete; the report tells why, trial by trial.")
    if best is not None and write_best is not None:
        write_overlay(
            conf / write_best,
            dotted(params) | best.params,
            over=conf / (env or "local"),
            origin={"study": name, "trial": best.number, **dict(zip(objectives, best.values, strict=True))},
        )
        click.echo(f"Trial {best.number} is conf/{write_best} now: kedro run --env={write_best}")

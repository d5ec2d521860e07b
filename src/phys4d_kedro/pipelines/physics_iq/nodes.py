"""Nodes of the physics_iq pipeline: folders of real and generated videos -> scores."""

from typing import Any

from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig


def score_physics_iq(parameters: PhysicsIqConfig) -> dict[str, Any]:
    """Score the videos of every seed by both rules, and write the results and, on request, a folder to send in."""
    from pathlib import Path

    from phys4d_kedro.evaluation.physics_iq.evaluate import evaluate
    from phys4d_kedro.evaluation.physics_iq.report import summarise
    from phys4d_kedro.evaluation.physics_iq.submission import write_json, write_submission

    evaluation = evaluate(parameters)
    results = summarise(evaluation, parameters)
    write_json(Path(parameters.output), results)
    if parameters.submission_dir is not None:
        write_submission(evaluation, results, parameters)
    return results

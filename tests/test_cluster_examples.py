"""Examples for clusters: the batch scripts run, and what they call takes the options that they give."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser
from kedro.config import OmegaConfigLoader
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import configure_project, pipelines

from phys4d_kedro.cli import sweep
from phys4d_kedro.simulation.config import SimulationConfig

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "slurm").glob("*.sbatch"))
ACCELERATE = sorted((ROOT / "conf").glob("*/accelerate/*.yaml"))
NODES = 2

# A cluster of two nodes: srun runs a command once a node, the others note their arguments.
STAND_INS = {
    "scontrol": "printf 'node0\\nnode1\\n'",
    "srun": 'while [[ $1 == --* ]]; do shift; done\nfor n in 0 1; do SLURM_NODEID=$n "$@"; done',
    **dict.fromkeys(
        ("kedro", "accelerate", "ray"),
        'python3 -c \'import json, sys; print(json.dumps(sys.argv[1:]))\' "${0##*/}" "$@" >> "$CALLS"',
    ),
}
Submit = Callable[..., list[list[str]]]


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Run a script as SLURM would, in a folder like the project's; what it called."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n')
    for name, body in STAND_INS.items():
        command = tmp_path / ".venv/bin" / name
        command.write_text(f"#!/bin/bash\n{body}\n")
        command.chmod(0o755)

    def run(script: str, *arguments: str) -> list[list[str]]:
        directives = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", (ROOT / "slurm" / script).read_text(), re.M))
        variables = {
            "SLURM_CPUS_PER_TASK": directives["cpus-per-task"],
            "SLURM_GPUS_PER_NODE": f"h100:{directives.get('gpus-per-node', 0)}",
            "SLURM_NNODES": str(NODES),
            "SLURM_JOB_NODELIST": "node[0-1]",
            "SLURM_ARRAY_TASK_COUNT": "16",
            "SLURM_ARRAY_TASK_ID": "3",
            "CALLS": str(tmp_path / "calls"),
        }
        command = ["bash", str(ROOT / "slurm" / script), *arguments]
        environment = {"PATH": os.environ["PATH"], **variables}
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]

    return run


def check_kedro(arguments: list[str]) -> dict[str, Any]:
    """Parameters of a run, whose environment and pipelines exist; Kedro's own command reads the options."""
    assert arguments[0] == "run"
    options = kedro_run.make_context("run", arguments[1:]).params
    assert (ROOT / "conf" / options["env"]).is_dir()
    configure_project("phys4d_kedro")
    assert {options.get("pipeline") or "simulation", *(options.get("pipelines") or ())} <= set(pipelines)
    return dict(options["params"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_says_what_it_needs(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/bash\n# ")
    assert f"sbatch slurm/{script.name}" in text
    directives = re.findall(r"^#SBATCH(.*)$", text, re.M)
    assert all(re.fullmatch(r" --[a-z-]+=\S+", directive) for directive in directives)
    assert any("--time=" in directive for directive in directives)
    assert text.rindex("#SBATCH") < text.index("\nset -eu\n")  # SLURM reads none behind the first command


def test_every_script_is_named_in_the_how_to() -> None:
    text = (ROOT / "docs/howto/cluster.md").read_text()
    assert len(SCRIPTS) == 5
    assert [script.name for script in SCRIPTS if f"slurm/{script.name}" not in text] == []


def test_simulation_takes_its_share_of_the_array(submit: Submit) -> None:
    ((command, *arguments),) = submit("simulate.sbatch", "wan22-5b")
    assert command == "kedro"
    assert "--env=wan22-5b" in arguments
    machines = check_kedro(arguments)["simulation"]["machines"]
    assert (machines["count"], machines["index"]) == (16, 3)
    SimulationConfig.model_fields["machines"].annotation.model_validate(machines)  # type: ignore[union-attr]


def test_labels_are_made_by_one_machine(submit: Submit) -> None:
    ((command, *arguments),) = submit("label.sbatch")
    assert command == "kedro"
    check_kedro(arguments)


def test_ray_starts_on_all_nodes_and_runs_kedro(submit: Submit) -> None:
    commands = pytest.importorskip("ray.scripts.scripts", reason="the extra 'ray' is not installed").cli.commands
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

    token, *nodes = submit("ray.sbatch")
    commands["get-auth-token"].make_context("get-auth-token", token[2:])
    assert nodes == [nodes[0]] * NODES
    command, subcommand, *arguments = nodes[0]
    assert (command, subcommand) == ("ray", "symmetric-run")
    split = arguments.index("--")
    cluster = commands[subcommand].make_context(subcommand, list(arguments)).params
    assert (cluster["address"], cluster["min_nodes"]) == ("node0:6379", NODES)
    of_start = curate_and_validate_ray_start_args(arguments[:split])
    assert commands["start"].make_context("start", of_start).params["num_cpus"] == 32
    assert arguments[split + 1] == "kedro"
    check_kedro(arguments[split + 2 :])


def test_ray_takes_other_runs(submit: Submit) -> None:
    _, *nodes = submit("ray.sbatch", "--env=ray", "--pipeline=simulation", "--params=seed=1,simulation.train.clips=9")
    assert check_kedro(nodes[0][nodes[0].index("kedro") + 1 :])["simulation"] == {"train": {"clips": 9}}


def test_sweep_begins_its_study_once_and_goes_on_on_every_node(submit: Submit) -> None:
    begun, *nodes = submit("sweep.sbatch", "--pipeline=sft", "--sweep=sft", "--trials=200")
    assert nodes == [nodes[0]] * NODES
    first, others = (sweep.make_context("sweep", call[2:]).params for call in (begun, nodes[0]))
    assert (first["trials"], others["trials"]) == (0, 200)
    assert {**first, "trials": 200} == others
    assert begun[:2] == nodes[0][:2] == ["kedro", "sweep"]


def test_training_is_launched_on_every_node(submit: Submit) -> None:
    calls = submit("train.sbatch", "data/06_models/jobs/run sft.json")
    assert len(calls) == NODES
    for rank, (command, subcommand, *arguments) in enumerate(calls):
        assert (command, subcommand) == ("accelerate", "launch")
        options = launch_command_parser().parse_args(arguments)
        assert (ROOT / options.config_file) in ACCELERATE
        assert (options.num_machines, options.num_processes, options.machine_rank) == (NODES, 8 * NODES, rank)
        assert (options.main_process_ip, options.module) == ("node0", True)
        assert options.training_script == "phys4d_kedro.training.worker"
        assert options.training_script_args == ["data/06_models/jobs/run sft.json"]


@pytest.mark.parametrize("file", ACCELERATE, ids=lambda path: path.stem)
def test_accelerate_reads_its_configuration(file: Path) -> None:
    config = load_config_from_file(str(file))
    assert isinstance(config, ClusterConfig)
    written = yaml.safe_load(file.read_text())
    plain = written.keys() & vars(config).keys() - {"compute_environment", "distributed_type"}  # those become enums
    assert {"num_machines", "num_processes", "machine_rank", "mixed_precision", "use_cpu"} <= plain
    assert {name: getattr(config, name) for name in plain} == {name: written[name] for name in plain}
    assert config.num_processes % config.num_machines == 0


def test_the_ray_environment_makes_the_default_sets_in_their_places() -> None:
    def catalog(environment: str) -> dict[str, Any]:
        return dict(OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env=environment)["catalog"])

    base, ray = catalog("local"), catalog("ray")
    written = {name for name in yaml.safe_load((ROOT / "conf/ray/catalog.yml").read_text()) if name[0] != "_"}
    made = {name for name in base if name.startswith("simulated_clips") and not name.endswith("_quality")}
    assert written == made | {"labeled_clips", "simiq_clips"}
    for name in written:
        assert ray[name] == {key: value for key, value in base[name].items() if key != "metadata"} | {"backend": "ray"}

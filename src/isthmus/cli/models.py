"""Verbs on models: export, register, promote, roll back, list."""

import json
from pathlib import Path
from typing import Annotated

import tyro


def export(
    run: tyro.conf.Positional[Path],
    *,
    out: Path,
    name: str | None = None,
    network_size_hw: tuple[int, int] | None = None,
) -> None:
    """Export a run's segmenter as ONNX with its model card, checked against torch before it may leave.

    $ isthmus export runs/source_only --out exports/source_only

    Args:
        run: Output folder of `isthmus train`, or one of its checkpoints.
        out: Folder for model.onnx, model_card.json, manifest.json and weights.safetensors.
        name: Name in the model card; by default the configuration's.
        network_size_hw: Height and width that the graph resizes frames to; by default what the run evaluates at.
    """
    from rich.console import Console

    from isthmus.training.exporting import export_run

    console = Console()
    result = export_run(run, out, name=name, network_size_hw=network_size_hw, say=console.print)
    worst = min(result.parity, key=lambda case: case.label_agreement)
    console.print(
        f"{result.export.onnx_file}: {result.export.manifest.size_bytes / 1e6:.1f} MB, "
        f"labels equal to torch's on at least {100 * worst.label_agreement:.3f} % of pixels "
        f"in {len(result.parity)} cases"
    )


def register(export_dir: tyro.conf.Positional[Path], *, name: str, run: Path | None = None) -> None:
    """Register an export as a new version of a model, alias `challenger`.

    $ isthmus register exports/source_only --name street-segmenter --run runs/source_only

    MLFLOW_TRACKING_URI names the registry; without it, mlruns/mlflow.db in this folder.

    Args:
        export_dir: What `isthmus export` wrote.
        name: The registered model; made if it is new.
        run: Output folder of `isthmus train`; its MLflow run is named as where the version comes from.
    """
    from rich.console import Console

    from isthmus.training.registry import register as register_export
    from isthmus.training.tracking import tracked_run_id

    made = register_export(export_dir, name, run_id=None if run is None else tracked_run_id(run))
    Console().print(f"{name} version {made.version} ({', '.join(made.aliases) or 'no alias'}), {made.sha256[:12]}")


def promote(name: tyro.conf.Positional[str], *, version: str = "challenger", gate: Path, to: str = "champion") -> None:
    """Judge a version and, if it passes the gate, make it the champion that is served.

    $ isthmus promote street-segmenter --version 2 --gate configs/gate/default.yaml
    $ isthmus promote street-segmenter --gate configs/gate/default.yaml --to staging

    Exits 1 with a table of what failed otherwise; then nothing has changed.

    Args:
        name: The registered model.
        version: A number or an alias.
        gate: The rules and the frames to judge on.
        to: The alias to move; one of your own is compared with what it points to now, and keeps no `previous`.
    """
    from rich.console import Console

    from isthmus.configuration import load_config
    from isthmus.training.gate import GateConfig
    from isthmus.training.progress import counted
    from isthmus.training.promotion import promote as promote_version

    with counted(Console(stderr=True), "judging at the gate") as count:
        outcome = promote_version(name, version, gate=load_config(gate, GateConfig), to=to, on_frame=count)
    console = Console()
    console.print(outcome.report.to_text(), highlight=False)
    kept = outcome.previous is not None and to == "champion"
    before = f", version {outcome.previous} is kept as previous" if kept else ""
    console.print(f"{name} version {outcome.version} is the {to}{before}")


def rollback(name: tyro.conf.Positional[str]) -> None:
    """Make the previous champion the champion again.

    $ isthmus rollback street-segmenter

    Args:
        name: The registered model.
    """
    from rich.console import Console

    from isthmus.training.promotion import rollback as roll_back

    outcome = roll_back(name)
    Console().print(f"{name} version {outcome.version} is the champion again")


def list_versions(
    name: tyro.conf.Positional[str], *, as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
) -> None:
    """List the versions of a model with their aliases and scores.

    $ isthmus registry list street-segmenter

    Args:
        name: The registered model.
        as_json: Print JSON instead of a table.
    """
    from rich.console import Console

    from isthmus.cli.tables import version_table
    from isthmus.training.registry import list_versions as versions_of

    versions = versions_of(name)
    if as_json:
        rows = [
            {"version": each.version, "aliases": each.aliases, "sha256": each.sha256, **each.facts} for each in versions
        ]
        print(json.dumps(rows, indent=2))
    else:
        Console().print(version_table(versions))

"""Verbs on models: export, triton, register, promote."""

from pathlib import Path
from typing import Final, Literal

import tyro

from isthmus.errors import ConfigurationError

DEFAULT_GATE: Final = Path("configs/gate/default.yaml")


def export(
    run: tyro.conf.Positional[Path],
    *,
    out: Path,
    name: str | None = None,
    network_size_hw: tuple[int, int] | None = None,
    precision: Literal["fp32", "fp16"] = "fp32",
) -> None:
    """Export a run's segmenter as ONNX with its model card, checked against torch before it may leave.

    $ isthmus export runs/source_only --out exports/source_only
    $ isthmus export runs/source_only --out exports/source_only_fp16 --precision fp16

    Args:
        run: Output folder of `isthmus train`, or one of its checkpoints.
        out: Folder for model.onnx, model_card.json, manifest.json and weights.safetensors.
        name: Name in the model card; by default the configuration's.
        network_size_hw: Height and width that the graph resizes frames to; by default what the run evaluates at.
        precision: What the network computes in. fp16 is for GPUs, halves the file, and may differ from fp32 on 1 % of
            the pixels; on a CPU it is slower.
    """
    from rich.console import Console

    from isthmus.training.exporting import export_run

    console = Console()
    result = export_run(run, out, name=name, network_size_hw=network_size_hw, precision=precision, say=console.print)
    worst = min(result.parity, key=lambda case: case.label_agreement)
    console.print(
        f"{result.export.onnx_file}: {result.export.manifest.size_bytes / 1e6:.1f} MB, "
        f"labels equal to torch's on at least {100 * worst.label_agreement:.3f} % of pixels "
        f"in {len(result.parity)} cases"
    )


def triton(
    source: tyro.conf.Positional[Path],
    *,
    out: Path,
    name: str | None = None,
    version: int = 1,
    device: Literal["gpu", "cpu"] = "gpu",
    max_batch_size: int = 8,
    precision: Literal["fp32", "fp16"] | None = None,
) -> None:
    """Write a run or an export into a model repository that Triton serves, with its model card.

    $ isthmus triton exports/source_only_fp16 --out triton-models --name street-segmenter
    $ isthmus triton runs/source_only --precision fp16 --out triton-models

    Then `tritonserver --model-repository triton-models`, and `isthmus serve --backend HOST:8001` before it.

    Args:
        source: A model.onnx, a folder of an export, or of a run, which is exported first.
        out: The repository; models that are there stay.
        name: The model's name in Triton; by default the card's.
        version: Its version there. Triton serves the highest.
        device: Where Triton runs it.
        max_batch_size: Most frames that Triton computes at once.
        precision: Of a run's export, fp32 where left out; an export has its own.
    """
    import tempfile

    from rich.console import Console

    from isthmus.training.triton_repository import write_triton_repository

    onnx_file = source / "model.onnx" if source.is_dir() else source
    if onnx_file.is_file() and precision is not None:
        raise ConfigurationError(
            "--precision was given, but this export has its own", where=onnx_file,
            remedy=f"Leave it out, or name a run, or `isthmus export … --precision {precision}` first.",
        )  # fmt: skip
    if not source.exists():
        raise ConfigurationError("is not there", where=source, remedy="Name a run, or what `isthmus export` wrote.")
    with tempfile.TemporaryDirectory() as scratch:
        if not onnx_file.is_file():
            from isthmus.training.exporting import export_run

            exported = export_run(source, Path(scratch) / "export", name=name, precision=precision or "fp32")
            onnx_file = exported.export.onnx_file
        made = write_triton_repository(
            onnx_file, out, name=name, version=version, device=device, max_batch_size=max_batch_size
        )
    Console().print(f"{made / str(version)}: for tritonserver --model-repository {out}", soft_wrap=True)


def register(export_dir: tyro.conf.Positional[Path], *, name: str, run: Path | None = None) -> None:
    """Register an export as a new version of a model, alias `challenger`.

    $ isthmus register exports/source_only --name street-segmenter --run runs/source_only

    MLFLOW_TRACKING_URI names the registry; without it, mlruns/mlflow.db in this folder.

    Args:
        export_dir: What `isthmus export` wrote.
        name: The registered model; made if it is new.
        run: Output folder of `isthmus train`: its configuration and pictures are stored with the version, and its
            MLflow run, if it was tracked, is named as where the version comes from.
    """
    from isthmus.cli.waiting import waiting

    with waiting("registering") as say:
        from isthmus.training.registry import register as register_export
        from isthmus.training.tracking import RUN_FILE, tracked_run_id

        run_id = tracked_run_id(run) if run is not None and (run / RUN_FILE).is_file() else None
        made = register_export(export_dir, name, run_id=run_id, run=run, say=say)
    print(f"{name} version {made.version} ({', '.join(made.aliases) or 'no alias'}), {made.sha256[:12]}")


def promote(
    name: tyro.conf.Positional[str],
    *,
    version: str = "challenger",
    gate: Path = DEFAULT_GATE,
    to: str = "champion",
    force: str | None = None,
    key: Path | None = None,
) -> None:
    """Judge a version and, if it passes the gate, make it the champion that is served.

    $ isthmus promote street-segmenter --version 2
    $ isthmus promote street-segmenter --gate configs/gate/default.yaml --to staging
    $ isthmus promote street-segmenter --version 7 --force "tunnel footage: fog rule does not apply"

    Exits 1 with a table of what failed otherwise; then no alias has moved. The signed verdict and the report page are
    stored with the version either way. Data of the gate that is not on this machine is an error, before anything is
    judged or stored: the variables in the gate's file, such as DATA, say where it lies.

    Args:
        name: The registered model.
        version: A number or an alias.
        gate: The rules and the frames to judge on.
        to: The alias to move; one of your own is compared with what it points to now, and keeps no `previous`.
        force: Promote against the gate, for this reason (10 characters or more), which is kept with your name.
        key: Private key that signs the verdict; by default ISTHMUS_GATE_KEY, or ~/.config/isthmus/gate.key.
    """
    from rich.console import Console

    from isthmus.cli.registry_tables import text_width
    from isthmus.cli.waiting import waiting
    from isthmus.configuration import load_config, values_with_variables
    from isthmus.signing import key_path

    with waiting("reading the gate"):
        from isthmus.training.gate import GateConfig
        from isthmus.training.progress import counted
        from isthmus.training.promotion import promote as promote_version

        rules = load_config(gate, GateConfig)
    signer = key_path(key)
    is_new = not signer.exists()
    console, errors = Console(), Console(stderr=True)
    with counted(errors, "judging at the gate") as count:
        outcome = promote_version(
            name,
            version,
            gate=rules,
            to=to,
            force=force,
            key=key,
            on_progress=count,
            as_written=values_with_variables(gate),
            width=text_width(errors),
        )
    if is_new:
        text = f"Made a key that signs verdicts: {signer}. To sign with another one, name it with --key."
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    holds = "is the champion" if to == "champion" else f"holds {to}"
    if outcome.report is None:
        console.print(f"{name} version {outcome.version} {holds} already")
        return
    console.print(outcome.report.to_text(text_width(console)), highlight=False, markup=False, soft_wrap=True)
    kept = outcome.previous is not None and to == "champion"
    before = f", version {outcome.previous} is kept as previous" if kept else ""
    console.print(f"{name} version {outcome.version} {holds}{before}")

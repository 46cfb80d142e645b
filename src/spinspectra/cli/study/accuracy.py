"""`spinspectra study accuracy`: task error and width of a network against the fraction of its weights shuffled."""

from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from spinspectra.cli.options import Json, Model, Prefix, Seed
from spinspectra.cli.study.folder import Output, Resume, StudyFolder, study_folder
from spinspectra.cli.study.options import Restarts, Shuffles, cooling_sweeps, numbers
from spinspectra.errors import OptionError, SpinSpectraError

if TYPE_CHECKING:
    from spinspectra.studies.accuracy import AccuracyStudy, Evaluate
    from spinspectra.studies.shuffled_weights import Reading


def command(
    model: Model,
    text: Annotated[
        Path | None,
        typer.Option(help="Perplexity on this text file, causal or masked by the model.", show_default=False),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The same on wikitext2, wikitext103 or lambada, fetched.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Top-1 on this folder, a folder of images a class.", show_default=False)
    ] = None,
    evaluate: Annotated[
        str | None,
        typer.Option(help="A function of your own, file.py:name or module:name, given the folder.", show_default=False),
    ] = None,
    reading: Annotated[
        str, typer.Option(help="What is shuffled: elements of all matrices, or couplings, q + k + v as one.")
    ] = "elements",
    fractions: Annotated[str, typer.Option(help="Shuffled, between commas; 0 is always there.")] = (
        "0,0.01,0.05,0.1,0.2,0.5,1"
    ),
    shuffles: Shuffles = 3,
    sweeps: Annotated[int, cooling_sweeps(True)] = 300,
    restarts: Restarts = None,
    window: Annotated[
        int | None, typer.Option(help="Tokens at a time.", min=2, show_default="what the model takes")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="New tokens a window.", min=1, show_default="half a window")
    ] = None,
    mask_every: Annotated[
        int | None, typer.Option(help="Masked models: a token in so many is masked.", min=2, show_default="7")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Windows or images at once.", min=1, show_default="by memory")
    ] = None,
    device: Annotated[str, typer.Option(help="Torch's name of one, such as cuda.")] = "cpu",
    prefix: Prefix = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Folder for the checkpoints evaluated, new or of the same.", show_default="none is kept"),
    ] = None,
    seed: Seed = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes, a point at a time each; torch's last digits go by their number.",
            min=1,
            max=4096,
            show_default="all cores, with a device 1",
        ),
    ] = None,
    output: Output = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """How much worse a network gets at its task, and how much narrower its range of energies, as weights are shuffled.

    Give one of --text, --dataset, --images or --evaluate.
    """
    from spinspectra.cli.interrupted import how_to_go_on
    from spinspectra.cli.output import points_bar, require_writable
    from spinspectra.studies.accuracy import n_points, study_accuracy
    from spinspectra.studies.widths import FromGround

    folder = study_folder(output, resume)
    if keep is not None:
        require_writable(keep, "--keep")
    wanted = numbers("--fractions", fractions, float)
    options = {"window": window, "stride": stride, "mask_every": mask_every, "batch": batch}
    source, task = _task(model, text, dataset, images, evaluate, options, device)
    total = n_points(wanted, shuffles)
    with (
        _workers(workers, device, total) as pool,
        points_bar("accuracy", total) as progress,
        how_to_go_on(folder.record),
    ):
        try:
            found = study_accuracy(
                source,
                task,
                wanted,
                shuffles,
                cast("Reading", reading),
                seed,
                FromGround(sweeps, restarts),
                prefix,
                keep,
                folder.record,
                pool,
                progress,
            )
        except BrokenProcessPool:
            raise SpinSpectraError(
                "a worker ended at once, perhaps for want of memory; try fewer --workers or a smaller --batch"
            ) from None
    _save(found, folder, model)
    if as_json:
        from spinspectra.cli.output import json_rows, print_json

        told = {"study": "accuracy", "source": model, "seed": seed, "shuffles": shuffles, "reading": reading}
        print_json(told | {"summary": json_rows(found.summary), "points": json_rows(found.points)})
    else:
        _show(found, folder, f"{model}: {reading} shuffled")


def _task(
    model: str,
    text: Path | None,
    dataset: str | None,
    images: Path | None,
    evaluate: str | None,
    options: Mapping[str, int | None],
    device: str,
) -> "tuple[str, Evaluate]":
    """The checkpoint with what its evaluation needs beside it, and the task. What does not fit is refused here."""
    from spinspectra.studies import tasks
    from spinspectra.studies.tasks.loading import require_transformers
    from spinspectra.studies.tasks.model_folder import model_folder

    kinds = {"--text": text, "--dataset": dataset, "--images": images, "--evaluate": evaluate}
    given = [option for option, value in kinds.items() if value is not None]
    if len(given) != 1:
        raise OptionError(f"{' and '.join(given) or 'no task'}: give one of {', '.join(kinds)}")
    fitting = {"--text": options, "--dataset": options, "--images": {"batch": None}, "--evaluate": {}}[given[0]]
    for name, value in options.items():
        if value is not None and name not in fitting:
            raise OptionError(f"--{name.replace('_', '-')}: is not for {given[0]}")
    asked = {name: value for name, value in options.items() if value is not None}
    if evaluate is not None:
        if device != "cpu":
            raise OptionError("--device: is not for --evaluate, whose function chooses its own")
        task = tasks.UserTask(evaluate)
        task.function()
        return model, task
    require_transformers()
    folder, config = model_folder(model)
    if images is not None:
        pictures = tasks.ImageTop1(images, **asked, device=device)
        pictures.check(model, config)
        return folder, pictures
    words = tasks.text_file(text) if text is not None else tasks.hub_text(dataset or "")
    return folder, tasks.text_task(model, config, words, **asked, device=device)


def _workers(workers: int | None, device: str, total: int) -> Any:
    """Points on the same GPU wait for one another and fill its memory, so there is one at a time unless asked."""
    from spinspectra.cores import n_cores
    from spinspectra.studies.model_workers import model_workers

    usual = n_cores() if device == "cpu" else 1
    return model_workers(min(usual if workers is None else workers, total))


def _save(found: "AccuracyStudy", folder: StudyFolder, model: str) -> None:
    if folder.path is None:
        return
    from spinspectra.plots.accuracy import accuracy
    from spinspectra.plots.save import save_png

    folder.save_tables({"points": found.points, "summary": found.summary})
    save_png(accuracy(found.summary, title=model)[0], folder.path / "accuracy.png")


def _show(found: "AccuracyStudy", folder: StudyFolder, title: str) -> None:
    from spinspectra.cli.heat import plus_minus
    from spinspectra.cli.output import cell, console, table

    out = console()
    losses = bool(found.points["points_lost"].notna().any())
    columns = [
        "fraction",
        "metric",
        "value",
        "task error, %",
        *(["points lost"] if losses else []),
        "width/N",
        "shuffles",
    ]
    made = table(title, *columns, left=2)
    for row in found.summary.to_dict("records"):

        def shown(column: str, row: Mapping[Any, Any] = row) -> str:
            return plus_minus(row[column], row[f"{column}_err"])

        made.add_row(
            f"{row['fraction']:g}",
            cell(row["metric"]),
            shown("value"),
            shown("task_error"),
            *([shown("points_lost")] if losses else []),
            shown("width_per_spin"),
            str(row["shuffles"]),
        )
    out.print(made)
    if folder.path is not None:
        out.print(f"  Written to {folder.path}: points.csv, summary.csv, accuracy.png", markup=False)

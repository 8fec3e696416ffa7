"""Command line: ``cineheart batch``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.networks.bundles import bundle_of_species
from CardiacLib.types.choices import AUTO, LANDMARK_BUNDLE, LandmarkChoice, NetworkChoice, RunsOn, SegmentChoice
from cineheart.cli_options import (
    Anonymise,
    Backend,
    Bundle,
    CutAtValves,
    Device,
    DicomSeg,
    DicomSr,
    EdgeLength,
    Formats,
    LandmarkBundle,
    Motion,
    Output,
    Pdf,
    Quality,
    QualityOption,
    ReferenceRanges,
    SpeciesName,
    SpeciesOption,
)
from cineheart.console import Console, Json


def batch(
    studies: Annotated[
        list[Path], typer.Argument(help="Folders of studies, studies, globs in quotes, or a manifest (CSV, Parquet).")
    ],
    output: Output,
    workers: Annotated[int, typer.Option(min=1, help="Processes at a time.")] = os.cpu_count() or 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, instead of own workers.")] = None,
    shard: Annotated[str, typer.Option(help="i/N: every N-th study from the i-th, counted from 0.")] = "0/1",
    retry_failed: Annotated[bool, typer.Option(help="Try studies again that failed before.")] = False,
    bundle: Bundle = None,
    species: SpeciesOption = SpeciesName.human,
    device: Device = AUTO,
    backend: Backend = AUTO,
    quality: QualityOption = Quality.fast,
    mesh: Annotated[bool, typer.Option(help="Mesh end-diastole.")] = True,
    edge_length: EdgeLength = None,
    formats: Formats = "vtu,vtp",
    landmark_bundle: LandmarkBundle = LANDMARK_BUNDLE,
    cut_at_valves: CutAtValves = False,
    motion: Motion = False,
    reference_ranges: ReferenceRanges = None,
    anonymise: Anonymise = False,
    dicom_seg: DicomSeg = False,
    dicom_sr: DicomSr = False,
    pdf: Pdf = False,
    scene: Annotated[bool, typer.Option(help="Write scene.mrb too, most of a study's room on the disk.")] = False,
    as_json: Json = False,
) -> int:
    """Many studies as of 'run', in several processes; one table and one page. The same command goes on."""
    from BiVMeshLib.exporters import choose_formats
    from cineheart.cohort.batch import BatchOptions, run_batch, shard_of
    from cineheart.cohort.engine import Workers
    from cineheart.commands.choices import stated_ranges
    from cineheart.commands.study import FurtherFiles, RunOptions, mesh_choice
    from cineheart.report.paper import require_browser

    if pdf:
        require_browser()
    runs_on = RunsOn(device, backend)
    network = NetworkChoice(bundle or bundle_of_species(species.value), runs_on, quality.value)
    run = RunOptions(
        segment=SegmentChoice(network, species=species.value, reference=stated_ranges(reference_ranges)),
        landmarks=LandmarkChoice(NetworkChoice(landmark_bundle, runs_on)),
        mesh=mesh_choice(species.value, mesh, motion, False, edge=edge_length, angles=None),
        formats=choose_formats(formats),
        anonymise=anonymise,
        cut_at_valves=cut_at_valves,
        files=FurtherFiles(scene, dicom_seg, dicom_sr, pdf),
    )
    options = BatchOptions(run, Workers(workers, scheduler), shard_of(shard), retry_failed)
    with Console("cineheart batch", as_json, lines=True) as console:
        answer = run_batch(studies, output, options, progress=console.progress)
        console.finish(answer)
    return 1 if answer.facts["failed"] else 0

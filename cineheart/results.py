"""The result of one study: what ``cineheart run`` hands to the report, the scene and the files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from BiVMeshLib.check.marks import mesh_marks

from .provenance import Provenance

if TYPE_CHECKING:
    from BiVMeshLib.result import MeshResult
    from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
    from CardiacLandmarksLib.measure.annulus import Annulus
    from CardiacLandmarksLib.result import PointsResult
    from CardiacLib.readers import Study
    from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
    from CardiacLib.types.labels import LabelMap
    from CardiacLib.types.measures.marks import Mark
    from CardiacLib.types.patient import Patient
    from CardiacSegLib.function import Function
    from CardiacSegLib.long_axis import LongAxisResult
    from CardiacSegLib.quality import QualityReport
    from CardiacSegLib.result import SegmentResult


HIDDEN = "..."
"""Stands for a name that is not told."""
WAITED = "wait for the mesh"
"""Step of a run whose mesh was made beside its other steps: what was left of it when they were done."""
BESIDE = ("mesh",)
"""Steps that take no time of such a run but this."""


def anonymised(study: Study) -> Study:
    """A study without name and ID of the patient and without names of its files, which may hold them.

    Images that were left out are numbered; in notes every such name becomes ``...``.
    """
    left_out = [text.partition(": ") for text in study.left_out]
    identity = [word for text in (study.patient.name, study.patient.id) if text for word in (text, *_parts(text))]
    names = [name for name, _, _ in left_out]
    names += [name for cine in study.cines.values() for name in (cine.source, Path(cine.source).name)]
    names += [study.source, Path(study.source).name, *identity]

    def hidden(text: str) -> str:
        for name in sorted({name for name in names if name}, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", HIDDEN, text, flags=re.IGNORECASE)
        return text

    cines = {
        view: cine.with_changes(source=view, patient=_nameless(cine.patient), notes=tuple(map(hidden, cine.notes)))
        for view, cine in study.cines.items()
    }
    return replace(
        study,
        cines=cines,
        left_out=tuple(f"image {n}: {hidden(reason or 'not used')}" for n, (_, _, reason) in enumerate(left_out, 1)),
        notes=tuple(map(hidden, study.notes)),
        patient=_nameless(study.patient),
        source="study",
    )


def _nameless(patient: Patient) -> Patient:
    return replace(patient, name=None, id=None)


def _parts(name: str) -> list[str]:
    """The parts of a name that are long enough to be no other word by chance."""
    return [part for part in re.split(r"[\s^,=_-]+", name) if len(part) > 2]


@dataclass(frozen=True)
class StudyResult:
    """Everything that one run produced, in memory.

    Attributes:
        study: the cines as read, by view; ``study.cines["sax"]`` is always there.
        segmented: labels of every short-axis frame on the grid of that cine, their measures and their light.
        points: valve points at the same frames; None without a long-axis view or a network for them.
        meshed: mesh of end-diastole and its motion, or None where none could be built (``notes`` says why).
        seconds: wall time of each step by its name, in the order in which they ended; with :data:`WAITED` among
            them those of :data:`BESIDE` ran beside the others.
        notes: warnings of the run, one sentence each (the study keeps the reader's own).
        bundle: name of the network that made the labels; empty where they came from elsewhere.
        corrected: names of the files that took the place of a network's labels and landmarks, by kind.
        long_axis: labels and measures of the four-chamber view; None without that view, its points or a network.
        provenance: what the result was made by and of.
    """

    study: Study
    segmented: SegmentResult
    points: PointsResult | None = None
    meshed: MeshResult | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    bundle: str = ""
    corrected: dict[str, str] = field(default_factory=dict)
    long_axis: LongAxisResult | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def labels(self) -> LabelMap:
        """Of every short-axis frame."""
        return self.segmented.segmentation.labels

    @property
    def label_notes(self) -> tuple[str, ...]:
        """What was done to the labels beyond the network, one sentence each; nothing to worry about."""
        return self.segmented.segmentation.notes

    @property
    def function(self) -> Function:
        """What the labels say about the ventricles."""
        return self.segmented.function

    @property
    def quality(self) -> QualityReport | None:
        """Flags, confidence and traffic light of the labels; None where nobody judged them."""
        return self.segmented.quality

    @property
    def marks(self) -> dict[str, Mark]:
        """Light and reason of every measurement: of the labels, the annuli and, with ``mesh_`` before it, the mesh."""
        found = dict(self.segmented.marks) | (dict(self.annulus.marks) if self.annulus else {})
        if self.mesh is not None and self.mesh.quality is not None:
            of_mesh = mesh_marks(self.mesh.quality, self.segmented.marks)
            found |= {f"mesh_{name}": mark for name, mark in of_mesh.items()}
        return found

    @property
    def landmarks(self) -> StudyLandmarks | None:
        """Valve points view by view."""
        return self.points.found if self.points else None

    @property
    def annulus(self) -> Annulus | None:
        """What was measured of the valve points; None where nothing could be."""
        return self.points.annulus if self.points else None

    @property
    def mesh(self) -> BiVMesh | None:
        """Of end-diastole."""
        return self.meshed.mesh if self.meshed else None

    @property
    def motion(self) -> MovingMesh | None:
        """The mesh over the cycle; None where nobody asked for it or it could not be made (``notes`` says why)."""
        return self.meshed.moving if self.meshed else None

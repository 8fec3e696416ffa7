"""Write measurements as a DICOM structured report of the template TID 1500 (Measurement Report), by highdicom.

Measurements of one structure at one phase of the heart beat are one group (TID 1501, or TID 1411 where they are those
of a segment), with phase and frame, the images it was measured in, and the network by name and version.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from CardiacLib import __version__
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.resources import HOMEPAGE
from CardiacLib.types.cine import Cine
from CardiacLib.types.measures.marks import Mark, Marks
from CardiacLib.types.measures.ranges import NormalRanges

from .dicom_quantities import (
    COMMENT,
    NORMAL_LIMITS,
    NORMALITY,
    OF_LABELS,
    OF_VALVES,
    OWN_SCHEME,
    PHASE_NAME,
    PHASES,
    PROCEDURE,
    QUANTITIES,
    Concept,
    Quantity,
)
from .dicom_sources import MADE_BY, REPORT, headers_of, highdicom_for, names_as_they_are
from .dicom_values import permitted_copy

DICOM_SR_NAME = "measurements.dcm"
SERIES_NUMBER = 1001
"""Series number of the reports, after that of the segmentations."""
_LIGHTS = {"amber": "Amber: check before use.", "red": "Red: do not use before it is corrected."}


@dataclass(frozen=True, kw_only=True)
class ReportedMeasures:
    """What a report says of a heart.

    Attributes:
        values: by key of ``measurements.json`` and ``annulus.json``; unknown keys and None are left out.
        marks: by the same keys; a weak measurement gets its light and reasons as a comment.
        ranges: normal ranges by the same keys; a measurement that has one gets its limits, whose they are, and where
            the value lies.
        ed, es: frames of the cine; None where the phase of its only frame is not known.
        how: how it was measured, one sentence each.
        bundle: the network of the labels, if they are as it made them; else empty.
        points_bundle: the network of the valve points, likewise.
    """

    values: Mapping[str, object]
    marks: Marks = field(default_factory=dict)
    ranges: NormalRanges = field(default_factory=NormalRanges)
    ed: int | None = None
    es: int | None = None
    how: tuple[str, ...] = ()
    bundle: str = ""
    points_bundle: str = ""

    def known(self, quantity: Quantity) -> float | None:
        """The value of a quantity; None where it was not measured."""
        value = self.values.get(quantity.key)
        return float(value) if isinstance(value, (int, float)) else None

    def phase(self, quantity: Quantity) -> int | None:
        """The frame of the phase of a quantity; None where it has no phase or nobody knows it."""
        return {"ed": self.ed, "es": self.es}.get(quantity.phase)

    def frame(self, quantity: Quantity) -> int | None:
        """The frame that a quantity is measured in; None for what is of the whole beat."""
        return (self.phase(quantity) or 0) if quantity.phase else None


def require_dicom_sr(cine: Cine, long_axis: Sequence[Cine] = ()) -> None:
    """Raise InputError where no report can be written: images not read from DICOM or without identity, no highdicom."""
    for images in (cine, *long_axis):
        headers_of(images, REPORT)


def write_dicom_sr(
    path: str | Path,
    measures: ReportedMeasures,
    cine: Cine,
    *,
    segmentations: Mapping[int, Path] | None = None,
    long_axis: Sequence[Cine] = (),
) -> Path:
    """Write ``measurements.dcm``: volumes, ejection fraction, mass, output, heart rate and motion of the valve plane.

    Patient and study are those of the images.

    Args:
        path: of the file.
        measures: what was measured.
        cine: the short axis, read from DICOM (``cine.files``).
        segmentations: DICOM segmentation of a frame of the cine, by its number: measurements then name its segments.
        long_axis: the views that the valve points were found in, read from DICOM.

    Raises:
        InputError: see :func:`require_dicom_sr`; or nothing was measured.
    """
    import pydicom

    known = [quantity for quantity in QUANTITIES if measures.known(quantity) is not None]
    if not known:
        raise InputError(f"{cine.source}: nothing was measured, so there is nothing to report; label all frames.")
    used = {measures.frame(quantity) for quantity in known if quantity.label}
    given = {frame: file for frame, file in (segmentations or {}).items() if frame in used}
    segments = {frame: pydicom.dcmread(file, stop_before_pixels=True) for frame, file in given.items()}
    images = _Images(cine, long_axis)
    writer = _Writer(measures, images, segments)
    together: dict[tuple[str, str, int], list[Quantity]] = {}
    for quantity in known:
        together.setdefault(_group_of(quantity), []).append(quantity)
    groups = [writer.group(members) for members in together.values()]
    with names_as_they_are():
        _document(groups, [*images.evidence(), *segments.values()]).save_as(path, enforce_file_format=True)
    return Path(path)


def _document(groups: list, evidence: list):
    """The report of these groups, of the patient and study of the first of the instances that they refer to."""
    hd = highdicom_for(REPORT)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_observer()),
        procedure_reported=_coded(PROCEDURE),
        imaging_measurements=groups,
    )
    dataset = hd.sr.ComprehensiveSR(
        evidence=evidence,
        content=content,
        series_instance_uid=hd.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        **MADE_BY,
        is_complete=True,
        record_evidence=False,
        series_description="CineHeart measurements",
        specific_character_set="ISO_IR 192",
    )
    dataset.CodingSchemeIdentificationSequence = [_own_scheme()]
    return dataset


def _group_of(quantity: Quantity) -> tuple[str, str, int]:
    """What measurements of one group have in common: site, phase, segment."""
    return quantity.site.meaning, quantity.phase, quantity.label


class _Images:
    """The images of the short axis and of the long-axis views, and references to them."""

    def __init__(self, cine: Cine, long_axis: Sequence[Cine]):
        self.cine, self.long_axis = cine, long_axis
        self.headers = headers_of(cine, REPORT)
        for view in long_axis:
            self.headers |= headers_of(view, REPORT)

    def evidence(self) -> list:
        """The headers, the first without values that DICOM forbids: the report copies from it."""
        first, *others = self.headers.values()
        return [permitted_copy(first), *others]

    def of_frames(self, frames: Iterable[int]) -> list[tuple[str, str, list[int] | None]]:
        """Class, UID and frame numbers of the short-axis images of some frames."""
        return self._named(file for frame in frames for file in self.cine.files[frame])

    def of_long_axis(self) -> list[tuple[str, str, list[int] | None]]:
        """The same of all images of the long-axis views."""
        return self._named(file for view in self.long_axis for row in view.files for file in row)

    def _named(self, files: Iterable[tuple[str, int | None] | None]) -> list[tuple[str, str, list[int] | None]]:
        numbers: dict[str, list[int]] = {}
        for path, index in filter(None, files):
            numbers.setdefault(path, []).extend([] if index is None else [index + 1])
        named = ((self.headers[path], sorted(set(frames)) or None) for path, frames in numbers.items())
        return [(image.SOPClassUID, image.SOPInstanceUID, frames) for image, frames in named]


class _Writer:
    """Makes the groups of a report."""

    def __init__(self, measures: ReportedMeasures, images: _Images, segments: Mapping[int, object]):
        self._measures, self._images, self._segments = measures, images, segments

    def group(self, members: list[Quantity]):
        """The measurements of one structure and phase."""
        hd, first = highdicom_for(REPORT), members[0]
        frame = self._measures.frame(first)
        common = {
            "tracking_identifier": hd.sr.TrackingIdentifier(hd.UID(), _title(first)),
            "finding_type": _coded(first.site),
            "finding_sites": [hd.sr.FindingSite(_coded(first.site))],
            "algorithm_id": self._algorithm(first),
            "measurements": [self._measurement(quantity) for quantity in members],
            "qualitative_evaluations": [hd.sr.QualitativeEvaluation(_coded(PHASE_NAME), _coded(PHASES[first.phase]))]
            if self._measures.phase(first) is not None
            else None,
            "time_point_context": None if frame is None else hd.sr.TimePointContext(self._frame_text(frame)),
        }
        segmentation = self._segments.get(frame) if first.label and frame is not None else None
        if segmentation is None:
            named = [hd.sr.SourceImageForMeasurementGroup(*image) for image in self._sources(first, frame)]
            return hd.sr.MeasurementsAndQualitativeEvaluations(**common, source_images=named or None)
        sources = [hd.sr.SourceImageForSegmentation(*image) for image in self._sources(first, frame)]
        segment = hd.sr.ReferencedSegment(
            segmentation.SOPClassUID, segmentation.SOPInstanceUID, first.label, source_images=sources
        )
        return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(**common, referenced_segment=segment)

    def _frame_text(self, frame: int) -> str:
        times = self._images.cine.times_ms
        when = "" if times is None else f", {times[frame]:.0f} ms"
        return f"Frame {frame + 1} of {self._images.cine.n_frames}{when}"

    def _sources(self, quantity: Quantity, frame: int | None) -> list[tuple[str, str, list[int] | None]]:
        if quantity.key in OF_VALVES:
            return self._images.of_long_axis()
        if frame is not None:
            return self._images.of_frames([frame])
        ends = {number for number in (self._measures.ed, self._measures.es) if number is not None}
        return self._images.of_frames(sorted(ends) or [0])

    def _algorithm(self, quantity: Quantity):
        """The network, or the program where a person may have changed what it is measured of."""
        from pydicom.sr.codedict import codes

        name, version, bundle, how = "CineHeart", __version__, "", []
        if quantity.key in OF_VALVES:
            bundle = self._measures.points_bundle
        elif quantity.key in OF_LABELS:
            bundle, how = self._measures.bundle, list(self._measures.how)
        if bundle:
            folder = bundle_path(bundle)
            name = folder.name
            version = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))["version"]
        return highdicom_for(REPORT).sr.AlgorithmIdentification(
            name, version, parameters=how or None, family=codes.cid7162.ArtificialIntelligence if bundle else None
        )

    def _measurement(self, quantity: Quantity):
        hd = highdicom_for(REPORT)
        value = self._measures.known(quantity)
        found = hd.sr.Measurement(
            _coded(quantity.name),
            value,
            _coded(quantity.unit),
            properties=_normal_range(quantity, value, self._measures.ranges),
        )
        text = _comment(self._measures.marks.get(quantity.key, Mark()), quantity)
        if text:
            item = hd.sr.TextContentItem(_coded(COMMENT), text, hd.sr.RelationshipTypeValues.HAS_PROPERTIES)
            number = found[0]
            number.ContentSequence = hd.sr.ContentSequence([*number.get("ContentSequence", []), item])
        return found


def _normal_range(quantity: Quantity, value: float, ranges: NormalRanges):
    """Where a value lies and between which limits, by TID 310 and 312; None without a range of this quantity."""
    position = ranges.position(quantity.key, value)
    if not position:
        return None
    hd, limits = highdicom_for(REPORT), ranges.limits[quantity.key]
    related = hd.sr.RelationshipTypeValues.HAS_PROPERTIES
    values = [
        hd.sr.NumContentItem(_coded(name), limit, _coded(quantity.unit), relationship_type=related)
        for name, limit in zip(NORMAL_LIMITS, (limits.lower, limits.upper), strict=True)
        if limit is not None
    ]
    properties = hd.sr.NormalRangeProperties(values, ranges.group or None, "; ".join(ranges.sources) or None)
    return hd.sr.MeasurementProperties(normality=_coded(NORMALITY[position]), normal_range_properties=properties)


def _title(quantity: Quantity) -> str:
    when = {"": "", "ed": " at end-diastole", "es": " at end-systole"}[quantity.phase]
    return f"{quantity.site.meaning}{when}"


def _comment(mark: Mark, quantity: Quantity) -> str:
    """Light, reasons and uncertainty of a measurement; empty where there is nothing to say."""
    told = [_LIGHTS[mark.light], *mark.reasons] if mark.weak else []
    if mark.uncertainty is not None:
        form = ".0f" if mark.uncertainty >= 10.0 else ".2g"
        told.append(f"One standard deviation: {mark.uncertainty:{form}} {quantity.unit.value}.")
    return " ".join(told)


def _observer():
    """CineHeart as the device that observed."""
    from pydicom.sr.codedict import codes

    hd = highdicom_for(REPORT)
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=hd.UID.from_uuid(str(uuid.uuid5(uuid.NAMESPACE_URL, HOMEPAGE))),
        name="CineHeart",
        manufacturer_name="CineHeart",
        model_name="CineHeart",
    )
    return hd.sr.ObserverContext(codes.DCM.Device, device)


def _own_scheme():
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeName = "Codes of CineHeart"
    item.CodingSchemeResponsibleOrganization = "The CineHeart maintainers"
    return item


def _coded(concept: Concept):
    return highdicom_for(REPORT).sr.CodedConcept(concept.value, concept.scheme, concept.meaning)

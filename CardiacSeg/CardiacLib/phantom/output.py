"""Write a phantom study: images as NIfTI or DICOM, and its truth."""

import base64
from pathlib import Path

import numpy as np

from CardiacLib.files import atomic_directory, write_json
from CardiacLib.progress import Progress, silent
from CardiacLib.types.bivmesh import PATCHES
from CardiacLib.writers.images import write_cine, write_labels

IMAGE_NAMES = {"sax": "sax_cine", "2ch": "lax_2ch", "3ch": "lax_3ch", "4ch": "lax_4ch"}


def write_phantom(phantom, directory: str | Path, dicom: bool = False, progress: Progress = silent) -> None:
    """Write ``phantom`` into ``directory``: whole or not at all.

    ``sax_cine.nii.gz``, ``lax_2ch.nii.gz``, ``lax_3ch.nii.gz``, ``lax_4ch.nii.gz``, or with ``dicom`` a folder
    ``dicom`` with one series per slice; ``truth/labels.nii.gz`` (short-axis grid), ``truth/truth.json`` (volumes,
    function, mass, valve points in LPS mm), ``truth/surfaces_ed.vtp`` and ``surfaces_es.vtp`` (LPS mm).
    NIfTI files are RAS inside.
    """
    names = {view: f"{name}.nii.gz" for view, name in IMAGE_NAMES.items()}
    stale = tuple(names.values()) if dicom else ("dicom",)
    with atomic_directory(directory, replace=stale) as work:
        if dicom:
            from .dicom import write_dicom

            write_dicom(phantom, work / "dicom")
        else:
            for view, name in names.items():
                write_cine(work / name, phantom.cines[view])
        progress(0.6, "images written")
        truth = work / "truth"
        truth.mkdir()
        write_labels(truth / "labels.nii.gz", phantom.labels)
        write_json(truth / "truth.json", phantom.summary())
        for name, frame in (("ed", phantom.ed), ("es", phantom.es)):
            write_surfaces(truth / f"surfaces_{name}.vtp", phantom.surfaces(frame, 1.5))
    progress(1.0, "phantom written")


def write_surfaces(path: str | Path, surfaces: dict[str, dict[str, np.ndarray]]) -> None:
    """Write surfaces as one VTK PolyData file (LPS mm) with cell arrays ``patch`` (ids of PATCHES) and ``lid``."""
    points, triangles, patches, lids, count = [], [], [], [], 0
    for name, surface in surfaces.items():
        points.append(surface["points"])
        triangles.append(surface["triangles"] + count)
        patches.append(np.full(len(surface["triangles"]), PATCHES[name]))
        lids.append(surface["lid"])
        count += len(surface["points"])
    cells = np.concatenate(triangles)
    offsets = 3 * np.arange(1, len(cells) + 1)
    text = f"""<?xml version="1.0"?>
<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
<PolyData>
<Piece NumberOfPoints="{count}" NumberOfVerts="0" NumberOfLines="0" NumberOfStrips="0" NumberOfPolys="{len(cells)}">
<Points>{_array("points", np.concatenate(points), "Float32", "<f4", 3)}</Points>
<Polys>{_array("connectivity", cells, "Int64", "<i8")}{_array("offsets", offsets, "Int64", "<i8")}</Polys>
<CellData Scalars="patch">
{_array("patch", np.concatenate(patches), "Int32", "<i4")}{_array("lid", np.concatenate(lids), "UInt8", "u1")}
</CellData>
</Piece>
</PolyData>
</VTKFile>
"""
    Path(path).write_text(text, encoding="ascii")


def _array(name: str, values: np.ndarray, kind: str, dtype: str, components: int = 1) -> str:
    data = np.ascontiguousarray(values, dtype).tobytes()
    coded = base64.b64encode(np.uint64(len(data)).tobytes() + data).decode("ascii")
    return (
        f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="{components}" format="binary">{coded}</DataArray>'
    )

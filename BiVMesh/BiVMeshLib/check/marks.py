"""Lights of what is measured of a mesh, and its cavities as rows of the table of volumes."""

from CardiacLib.species import species_named
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.measures.marks import AMBER, Mark, Marks, worst
from CardiacLib.types.measures.volumes import LEFT, RIGHT, VolumeRow
from CardiacLib.types.mesh_quality import MeshQuality

STILL, MOVING = "mesh of end-diastole", "moving mesh"
SAME_PLANE = "labels below the moving base"
TAKEN_FROM = {
    "lv_pool_ml": "lv_edv_ml",
    "rv_pool_ml": "rv_edv_ml",
    "lv_myocardium_ml": "lv_mass_g",
    "rv_wall_ml": "rv_edv_ml",
}
"""Volume of a mesh, and the measurement of the labels that it cannot be better than."""
POOLS = {LEFT: "lv_pool", RIGHT: "rv_pool"}


def mesh_marks(quality: MeshQuality, labels: Marks) -> dict[str, Mark]:
    """Of every measure with a limit, and of the volumes.

    Args:
        quality: of the mesh.
        labels: marks of what was measured of its labels, by key of ``Function.to_dict()``; empty where nobody judged.
    """
    lines = {
        name: Mark() if line.met else Mark(AMBER, (f"{name.replace('_', ' ')} is {line}.",))
        for name, line in quality.lines().items()
    }
    volumes = {}
    for name, source in TAKEN_FROM.items():
        error = lines.get(f"{name.removesuffix('_ml')}_error_percent", Mark())
        volumes[name] = worst([error, labels.get(source, Mark())])
    return lines | volumes


def mesh_rows(mesh: BiVMesh, motion: MovingMesh | None, phases: tuple[int, int]) -> tuple[VolumeRow, ...]:
    """The cavities of a mesh of end-diastole, and of the moving mesh at ED and ES.

    Args:
        mesh: with its quality report; without one there are no rows.
        motion: of the same mesh.
        phases: frames of end-diastole and end-systole.
    """
    quality = mesh.quality
    if quality is None:
        return ()
    rows = []
    curves = {} if motion is None or motion.quality is None else motion.quality.curves()
    for side, pool in POOLS.items():
        still, curve = getattr(quality.volumes, f"{pool}_ml"), curves.get(f"{pool}_ml")
        if still is not None:
            rows.append(VolumeRow(source=STILL, ventricle=side, ed_ml=still, es_ml=None, reason=_reason(quality, pool)))
        if curve is not None:
            ed, es = (curve[frame] for frame in phases)
            reason = (
                f"The same mesh carried over the beat, below a base that moves with the {motion.quality.base_from}."
            )
            rows.append(VolumeRow(source=MOVING, ventricle=side, ed_ml=ed, es_ml=es, reason=reason))
            rows += _labels_below(curves, side, phases)
    return tuple(rows)


def _labels_below(curves: dict, side: str, phases: tuple[int, int]) -> list[VolumeRow]:
    """The labels counted below the plane that ends the moving mesh; no row where a phase has no usable labels."""
    below = curves.get(f"label_{POOLS[side]}_ml")
    if below is None or any(below[frame] is None for frame in phases):
        return []
    ed, es = (below[frame] for frame in phases)
    reason = (
        "The labels as far as the base plane of the moving mesh: what the mesh's ejection fraction is to be compared "
        "with. Labels above that plane are in the whole slices only."
    )
    return [VolumeRow(source=SAME_PLANE, ventricle=side, ed_ml=ed, es_ml=es, reason=reason)]


def _reason(quality: MeshQuality, pool: str) -> str:
    base = quality.base.base_from if quality.base else "labels"
    volume = species_named(quality.made.species if quality.made else "human").volume
    below = quality.fidelity.label_ml.get(pool) if quality.fidelity else None
    counted = "" if below is None else f" The labels hold {volume(below)} below it; what lies above is not meshed."
    return f"The cavity below one flat base plane, taken from the {base}.{counted}"

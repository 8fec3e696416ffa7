"""openCARP: one paced beat of electrical activation (https://opencarp.org/documentation/user-manual). um, ms, S/m.

The public openCARP has no mechanics: pressures and tension are not used.
"""

from pathlib import Path

from BiVMeshLib.exporters.carp import write_carp
from BiVMeshLib.exporters.common import patch_names, region_names
from BiVMeshLib.exporters.text import text_file
from CardiacLib.types.bivmesh import BiVMesh

from .loads import NOT_RUN, Loads

CONDUCTIVITIES = {"g_il": 0.17, "g_it": 0.019, "g_in": 0.019, "g_el": 0.62, "g_et": 0.24, "g_en": 0.24}
"""S/m, along the fibre and across: Niederer et al. 2011, N-version benchmark (doi 10.1098/rsta.2011.0139)."""


def write_opencarp_deck(mesh: BiVMesh, folder: Path, loads: Loads) -> None:
    """Write ``heart.par`` and ``carp/``: ten Tusscher and Panfilov cells, both endocardia paced at once, activation."""
    write_carp(mesh, folder)
    tags = list(region_names(mesh).values())
    ids = {kind: [f"{kind}[0].num_IDs = {len(tags)}"] for kind in ("imp_region", "gregion")}
    for kind, lines in ids.items():
        lines += [f"{kind}[0].ID[{n}] = {tag}" for n, tag in enumerate(tags)]
    paced = [name for name in ("ENDO_LV", "ENDO_RV") if name in patch_names(mesh)]
    lines = [
        f"# {NOT_RUN}",
        "# Run: openCARP +F heart.par -simID out",
        "meshname = carp/mesh",
        "experiment = 0",
        "bidomain = 0",
        "tend = 500.0",
        "dt = 20.0",
        "timedt = 10.0",
        "spacedt = 1.0",
        "num_imp_regions = 1",
        'imp_region[0].name = "myocardium"',
        "imp_region[0].im = tenTusscherPanfilov",
        *ids["imp_region"],
        "num_gregions = 1",
        'gregion[0].name = "myocardium"',
        *ids["gregion"],
        *(f"gregion[0].{name} = {value}" for name, value in CONDUCTIVITIES.items()),
        f"num_stim = {len(paced)}",
    ]
    for n, name in enumerate(paced):
        lines += [
            f'stim[{n}].name = "{name}"',
            f"stim[{n}].crct.type = 0",
            f"stim[{n}].pulse.strength = 100.0",
            f"stim[{n}].ptcl.start = 0.0",
            f"stim[{n}].ptcl.duration = 2.0",
            f"stim[{n}].ptcl.npls = 1",
            f"stim[{n}].elec.vtx_file = carp/{name}",
        ]
    lines += [
        "num_LATs = 1",
        'lats[0].ID = "activation"',
        "lats[0].measurand = 0",
        "lats[0].mode = 0",
        "lats[0].all = 0",
        "lats[0].threshold = -10.0",
    ]
    with text_file(folder / "heart.par") as out:
        out.write("\n".join(lines) + "\n")

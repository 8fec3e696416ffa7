"""Complete input decks of solvers: mesh, material, fibres, pressures, held base. None of these solvers was run here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import BiVMesh, whole_patches

from .abaqus_deck import write_abaqus_deck
from .febio_deck import write_febio_deck
from .loads import Loads, read_loads
from .opencarp_deck import write_opencarp_deck
from .pulse_deck import write_pulse_deck
from .svmultiphysics_deck import write_svmultiphysics_deck

__all__ = ["DECKS", "Loads", "read_loads", "write_deck"]

DECKS: dict[str, Callable[[BiVMesh, Path, Loads], None]] = {
    "febio": write_febio_deck,
    "opencarp": write_opencarp_deck,
    "svmultiphysics": write_svmultiphysics_deck,
    "abaqus": write_abaqus_deck,
    "pulse": write_pulse_deck,
}
"""Writer of each deck: puts its files into a folder that has none of them yet."""


def write_deck(mesh: BiVMesh, folder: Path, name: str, loads: Loads | None = None) -> None:
    """Write the deck of one solver for a mesh in LPS mm with fibres; the whole base is held, annuli included.

    Raises:
        InputError: there is no such deck, or the mesh has no fibres.
    """
    if name not in DECKS:
        raise InputError(f"Unknown deck {name!r}: choose from {', '.join(DECKS)}.")
    if not {"fibre", "sheet"} <= set(mesh.cell_fields):
        raise InputError(f"A {name} deck needs fibres and sheets, which the mesh does not have; mesh it with fibres.")
    DECKS[name](replace(mesh, patches=whole_patches(mesh.patches)), folder, loads or Loads())

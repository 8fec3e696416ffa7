"""Make the picture of Docs/SmallAnimals.md: ``python Docs/examples/mouse_panel.py [FOLDER]``.

Labels a synthetic mouse in the segmentation panel on the panel host of the tests, and photographs the panel.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from panels import fit_texts  # noqa: E402
from tutorial import MODULES, _apply  # noqa: E402

from Testing.SlicerHost import SlicerHost  # noqa: E402

OPENED = ("networkCollapsibleButton", "measurementCollapsibleButton")
"""Sections that are closed at first."""


def main(folder: Path) -> None:
    """Write ``mouse_panel.png`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with SlicerHost(*MODULES) as host:
        from CardiacLib.mrml.nodes.cines import cine_to_scene
        from CardiacLib.phantom.mouse import MouseOptions, make_mouse

        cine_to_scene(make_mouse(MouseOptions(n_frames=17)).cine, "mouse")
        panel = host.open_panel("CardiacSeg")
        panel.ui.speciesSelector.currentText = "Mouse"
        host.process_events()
        _apply(host, panel)
        for name in OPENED:
            getattr(panel.ui, name).collapsed = False
        host.process_events()
        fit_texts(host, panel)
        host.photograph(panel, folder.resolve() / "mouse_panel.png")
        print(panel.ui.resultLabel.text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "images")

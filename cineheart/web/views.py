"""The views of a session: short axis and long axes side by side, and the mesh in 3-D, all at the same frame."""

from trame_server import Server
from trame_slicer.core import LayoutManager, SlicerApp
from trame_slicer.rca_view import register_rca_factories
from trame_slicer.views import Layout, LayoutDirection, ViewLayoutDefinition

from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.study_views import SLICE_VIEWS, show_in

MESH_VIEW = "Mesh"
LAYOUT = "study"


class Views:
    """The slice view of each view of a study, by its name, and a 3-D view.

    Args:
        server: of the session.
        slicer: its scene and logics.
    """

    def __init__(self, server: Server, slicer: SlicerApp):
        register_rca_factories(slicer.view_manager, server, slice_view_ui_f=_bare, three_d_view_ui_f=_bare)
        self._manager, self._logic = slicer.view_manager, slicer.app_logic
        self.layout = LayoutManager(slicer.scene, slicer.view_manager, server)
        slices = {view: ViewLayoutDefinition.slice_view("Axial", label=tag) for view, tag in SLICE_VIEWS.items()}
        columns = [
            Layout(LayoutDirection.Vertical, [slices["sax"], slices["3ch"]]),
            Layout(LayoutDirection.Vertical, [slices["2ch"], slices["4ch"]]),
            Layout(LayoutDirection.Vertical, [ViewLayoutDefinition.threed_view(name=MESH_VIEW)]),
        ]
        self.layout.register_layout(LAYOUT, Layout(LayoutDirection.Horizontal, columns))
        self.layout.set_layout(LAYOUT)

    def place(self, page) -> None:
        """Put the views into the page (a trame layout), where this is called."""
        self.layout.initialize_layout_grid(page)

    def show(self, volumes: Nodes) -> None:
        """Show the volume of each view in the plane of its slices, and aim the 3-D view."""
        for view, tag in SLICE_VIEWS.items():
            slice_view = self._manager.get_view(tag)
            show_in(self._logic.GetSliceLogicByLayoutName(tag), volumes.get(view))
            slice_view.schedule_render()
        self.aim()

    def aim(self) -> None:
        """Aim the 3-D view at what it shows."""
        view = self._manager.get_view(MESH_VIEW)
        view.reset_view()
        view.schedule_render()

    def render(self) -> None:
        """Draw all views again."""
        for view in self._manager.get_views():
            view.schedule_render()


def _bare(*_) -> None:
    """Nothing over a view but its image."""

"""The views of a session: short axis and long axes side by side, and the mesh in 3-D, all at the same frame."""

from trame_server import Server
from trame_slicer.core import LayoutManager, SlicerApp
from trame_slicer.rca_view.rca_view_factory import RcaWindow, RemoteSliceViewFactory, RemoteThreeDViewFactory
from trame_slicer.views import Layout, LayoutDirection, ViewLayoutDefinition

from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.study_views import SLICE_VIEWS, show_in

from .painting import Painter, Picture

MESH_VIEW = "Mesh"
LAYOUT = "study"


class Views:
    """The slice view of each view of a study, by its name, and a 3-D view.

    Args:
        server: of the session.
        slicer: its scene and logics.
    """

    def __init__(self, server: Server, slicer: SlicerApp):
        factories = RemoteSliceViewFactory, RemoteThreeDViewFactory
        self._factories = [make(server, populate_view_ui_f=_bare) for make in factories]
        for factory in self._factories:
            slicer.view_manager.register_factory(factory)
        self._manager, self._logic, self._server = slicer.view_manager, slicer.app_logic, server
        self.layout = LayoutManager(slicer.scene, slicer.view_manager, server)
        slices = {view: ViewLayoutDefinition.slice_view("Axial", label=tag) for view, tag in SLICE_VIEWS.items()}
        columns = [
            Layout(LayoutDirection.Vertical, [slices["sax"], slices["3ch"]]),
            Layout(LayoutDirection.Vertical, [slices["2ch"], slices["4ch"]]),
            Layout(LayoutDirection.Vertical, [ViewLayoutDefinition.threed_view(name=MESH_VIEW)]),
        ]
        self.layout.register_layout(LAYOUT, Layout(LayoutDirection.Horizontal, columns))
        self.layout.set_layout(LAYOUT)
        self.painter = Painter([self._picture(name) for name in (*SLICE_VIEWS.values(), MESH_VIEW)])
        # The page tells the size of a view after it has shown it, which may be after a study was opened.
        self._manager.get_view(MESH_VIEW).interactor().AddObserver("WindowResizeEvent", lambda *_: self.aim())

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

    def _picture(self, name: str) -> Picture:
        """A view without what costs a processor most time: several samples a pixel, and sorting what is translucent."""
        made = next(factory.get_factory_view(name) for factory in self._factories if factory.has_view(name))
        view = made.slicer_view
        view.render_window().SetMultiSamples(0)
        if name == MESH_VIEW:
            view.get_view_node().SetUseDepthPeeling(False)
            view.renderer().SetUseDepthPeeling(False)
        # With a low priority: after the displayable managers, which add the labels of a new frame at the same event.
        view.renderer().AddObserver("StartEvent", lambda renderer, _: _raise_points(renderer), -1.0)
        window = RcaWindow(
            view.render_window(), state=self._server.state, active_view_cursor=f"{name}_active_view_cursor"
        )
        return Picture(view, window, made.view_adapter)


def _bare(*_) -> None:
    """Nothing over a view but its image."""


def _raise_points(renderer) -> None:
    """Draw points last: the labels of a new frame are added after them, and would cover them."""
    found = renderer.GetViewProps()
    props = [found.GetItemAsObject(number) for number in range(found.GetNumberOfItems())]
    points = [prop for prop in props if prop.IsA("vtkSlicerMarkupsWidgetRepresentation")]
    if points != props[len(props) - len(points) :]:
        for prop in points:
            renderer.RemoveViewProp(prop)
            renderer.AddViewProp(prop)

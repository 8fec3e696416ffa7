"""What a session has open: the nodes of one study in its scene, its frames and its tables."""

from dataclasses import dataclass, field
from pathlib import Path

from BiVMeshLib.mrml.models import mesh_views, show_mesh
from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes import cines, scenes, sequences
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.segmentations import images_of, labels_from_node
from CardiacLib.mrml.nodes.study_views import SLICE_VIEWS
from CardiacLib.mrml.nodes.tables import nodes_of_class, table_content
from CardiacLib.mrml.panel.results import result_of
from CardiacLib.mrml.panel.studies import add_study
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.study import Study

RESULT_SCENE = "scene.mrb"


@dataclass
class StudyScene:
    """The study in ``slicer.mrmlScene``.

    Attributes:
        volumes: volume node by view.
        name: of the study, for people.
    """

    volumes: Nodes = field(default_factory=dict)
    name: str = ""

    def open_result(self, folder: Path) -> None:
        """Show the scene that a run wrote into ``folder``.

        Raises:
            InputError: there is none, or it cannot be read, or holds no short axis.
        """
        scenes.load_scene(folder / RESULT_SCENE)
        found = {view: cines.first_of_view(view) for view in SLICE_VIEWS}
        self.volumes = {view: node for view, node in found.items() if node is not None}
        self.name = folder.name
        if "sax" not in self.volumes:
            raise InputError(f"{folder.name}: the scene holds no short axis; run cineheart again.")

    def open_study(self, study: Study, name: str) -> None:
        """Show the cines of a study; what was open before goes."""
        scenes.clear_scene()
        self.volumes, self.name = add_study(study), name

    def cine(self, view: str) -> Cine:
        """All frames of a view, with what is known of the patient's body.

        Raises:
            InputError: its node cannot be used.
        """
        return cines.cine_from_node(self.volumes[view])

    def labels(self) -> LabelMap:
        """The labels of all frames.

        Raises:
            InputError: there are none.
        """
        if self.segmentation is None:
            raise InputError("There are no labels yet; segment the study first.")
        return labels_from_node(self.segmentation, self.volumes["sax"])

    @property
    def segmentation(self):
        """The node of the short axis' labels; None before they are made."""
        found = reversed(nodes_of_class("vtkMRMLSegmentationNode"))
        return next((node for node in found if images_of(node) in (None, self.volumes.get("sax"))), None)

    @property
    def species(self) -> str:
        """Whose heart was measured; empty where nothing says so."""
        return str(result_of(self.segmentation).facts.get("species", ""))

    @property
    def points(self) -> list:
        """The lists of valve points."""
        return nodes_of_class("vtkMRMLMarkupsFiducialNode")

    @property
    def mesh(self):
        """The model of the tetrahedra; None before a mesh is made."""
        models = nodes_of_class("vtkMRMLModelNode")
        return next((node for node in reversed(models) if node.GetName().endswith(" tetrahedra")), None)

    @property
    def browser(self):
        """The sequence browser that plays the short axis; None of one frame."""
        return sequences.sequence_of(self.volumes["sax"])[0] if "sax" in self.volumes else None

    @property
    def n_frames(self) -> int:
        """Of the short axis; 0 where nothing is open."""
        if self.browser is None:
            return len(self.volumes) and 1
        return self.browser.GetNumberOfItems()

    @property
    def frame(self) -> int:
        """The frame that is shown, from 0."""
        return 0 if self.browser is None else self.browser.GetSelectedItemNumber()

    def show_frame(self, frame: int) -> None:
        """Show a frame in all views.

        Raises:
            InputError: there is no such frame.
        """
        if not 0 <= frame < max(self.n_frames, 1):
            raise InputError(f"Frame {frame + 1}: the study has {self.n_frames}.")
        if self.browser is not None:
            sequences.select_frame(self.browser, frame)

    def tables(self) -> list[dict[str, object]]:
        """Every table of the scene: title, names of columns and rows of text."""
        found = []
        for node in nodes_of_class("vtkMRMLTableNode"):
            columns, rows = table_content(node)
            found.append({"title": node.GetName(), "columns": columns, "rows": rows})
        return found

    @property
    def first_table(self) -> int:
        """Number of the table of measurements, which people look at first; 0 where there is none."""
        titles = [node.GetName() for node in nodes_of_class("vtkMRMLTableNode")]
        return next((number for number, title in enumerate(titles) if title.endswith(" measurements")), 0)

    def mesh_views(self) -> list[str]:
        """What the mesh can be coloured by."""
        return mesh_views(self.mesh) if self.mesh is not None else []

    def show_mesh(self, view: str) -> None:
        """Colour the mesh.

        Raises:
            InputError: no mesh, or it has no such array.
        """
        if self.mesh is None:
            raise InputError("There is no mesh yet; make one first.")
        show_mesh(self.mesh, view)

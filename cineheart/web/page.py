"""The page of a session: folder, steps and tables on the left, views on the right, frames below."""

from typing import Any, Protocol

from trame.ui.vuetify3 import SinglePageLayout
from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from CardiacLib.mrml.nodes.colours import STOPS


class Answers(Protocol):
    """What answers the controls of the page (:class:`cineheart.web.app.App`)."""

    views: Any
    jobs: Any
    show_folder: Any
    open: Any
    open_uploads: Any
    step: Any
    undo: Any
    redo: Any
    prepare_downloads: Any


_SEND = """(async () => { const files = Array.from($event.target.files || $event.dataTransfer.files);
for (const file of files) { const answer = await window.fetch('upload?name=' + encodeURIComponent(file.name),
{method: 'POST', body: file}); if (!answer.ok) { problem = (await answer.json()).error; return; } }
if (files.length) trigger('open_uploads', [files.length === 1 ? files[0].name : '']); })()"""
"""JavaScript of the page: send what was chosen or dropped, then have it opened."""


_SCALE = ", ".join(f"rgb({red:.0%} {green:.0%} {blue:.0%})" for red, green, blue in STOPS)
"""Of the colours of the mesh, in CSS."""


def build_page(server: Server, app: Answers) -> None:
    """Lay out the page; each control has an ``id`` by which it can be found."""
    server.trigger("open_uploads")(app.open_uploads)
    with SinglePageLayout(server, full_height=True) as page:
        page.title.set_text("CineHeart")
        page.icon.hide()
        page.footer.hide()
        with page.toolbar:
            html.Span("{{ name }}", id="name", classes="mx-4")
            vuetify.VProgressLinear(v_if=("busy",), model_value=("fraction * 100",), id="progress", style="width: 20em")
            html.Span("{{ doing }}", id="doing", classes="mx-2")
            _button("Cancel", "cancel", app.jobs.cancel, v_if=("busy",))
            vuetify.VSpacer()
            _player()
        with page.content:
            html.Div("{{ problem }}", v_if=("problem",), id="problem", role="alert", classes="bg-error pa-2")
            with html.Div(style="display: flex; height: calc(100vh - 64px)"):
                with html.Div(style="width: 22em; overflow: auto; flex: none", classes="pa-2"):
                    _folder(app)
                    _steps(app)
                    _editing(app)
                    _tables()
                    _downloads(app)
                with html.Div(style="flex: 1; min-width: 0", id="views"):
                    app.views.place(page)


def _button(text: str, name: str, click, **more) -> None:
    vuetify.VBtn(text, id=name, click=click, size="small", variant="tonal", classes="ma-1", **more)


def _player() -> None:
    _button("{{ playing ? 'Stop' : 'Play' }}", "play", "playing = !playing", disabled=("!last_frame",))
    vuetify.VSlider(
        v_model=("frame",), min=0, max=("last_frame",), step=1, id="frame", hide_details=True, style="max-width: 20em",
        aria_label="Frame",
    )  # fmt: skip
    html.Span("{{ Number(frame) + 1 }} / {{ last_frame + 1 }}", id="shown-frame", classes="mx-4")


def _folder(app: Answers) -> None:
    html.Div("{{ '/' + folder }}", classes="text-caption")
    _button("Up", "up", (app.show_folder, "[folder.split('/').slice(0, -1).join('/')]"), v_if=("folder",))
    with html.Div(v_for="entry in entries", key="entry.path", style="display: flex; align-items: center"):
        html.Span("{{ entry.name }}", style="flex: 1; overflow-wrap: anywhere", classes="text-body-2")
        more = {"click": (app.show_folder, "[entry.path]"), "v_if": "entry.kind !== 'file'", "size": "x-small"}
        vuetify.VBtn("Look in", variant="text", **more)
        vuetify.VBtn(
            "Open", click=(app.open, "[entry.path, entry.kind]"), disabled=("busy",), size="x-small", variant="text",
            __properties=[("data_path", "data-path")], data_path=("entry.path",), classes="open-entry",
        )  # fmt: skip
    with html.Label(
        "Drop a zip, NIfTI or DICOM files here, or choose: ",
        raw_attrs=[f'@drop.prevent="{_SEND}"', "@dragover.prevent"],
        classes="d-block pa-2 my-2 text-body-2",
        style="border: 1px dashed",
    ):
        html.Input(type="file", multiple=True, id="upload", raw_attrs=[f'@change="{_SEND}"'], style="width: 100%")
    vuetify.VSelect(v_model=("species",), items=("all_species",), label="Species", density="compact", id="species")


def _steps(app: Answers) -> None:
    for text, name, needs in (
        ("Segment", "segment", "name"),
        ("Points", "points", "name"),
        ("Mesh", "mesh", "has_labels"),
    ):
        _button(text, name, (app.step, f"['{name}']"), disabled=(f"busy || !{needs}",))
    vuetify.VCheckbox(
        v_model=("coarse",), label="Coarse mesh, for a look", id="coarse", density="compact", hide_details=True
    )
    vuetify.VSelect(
        v_model=("mesh_view",), items=("mesh_views.map(value => ({title: mesh_words[value], value}))",),
        label="Colour of the mesh", density="compact", id="mesh-view", v_if=("mesh_views.length",), hide_details=True,
    )  # fmt: skip
    with html.Div(v_if=("mesh_scales[mesh_view]",), id="mesh-scale", classes="text-caption mb-2"):
        html.Div(style=f"height: 8px; background: linear-gradient(to right, {_SCALE})")
        with html.Div(style="display: flex; justify-content: space-between"):
            html.Span("{{ end }}", v_for="end in mesh_scales[mesh_view]", key="end")


def _editing(app: Answers) -> None:
    look = {"density": "compact", "variant": "outlined", "classes": "my-1"}
    with vuetify.VBtnToggle(v_model=("tool",), mandatory=True, disabled=("!has_labels",), **look):
        for text, tool in (("Move points", "points"), ("Paint", "paint"), ("Erase", "erase")):
            vuetify.VBtn(text, value=tool, id=f"tool-{tool}", size="small")
    with html.Div(v_if=("has_labels && tool !== 'points'",)):
        vuetify.VSelect(
            v_model=("structure",), items=("structures",), label="In the short axis", density="compact", id="structure"
        )
        vuetify.VSlider(
            v_model=("brush_mm",),
            min=2,
            max=40,
            step=1,
            label="Brush (mm at human size)",
            id="brush",
            hide_details=True,
        )
    _button("Undo", "undo", app.undo, disabled=("!can_undo || busy",))
    _button("Redo", "redo", app.redo, disabled=("!can_redo || busy",))
    html.Span("measuring ...", v_if=("measuring",), id="measuring", classes="text-caption")
    html.Div("The mesh is older than the labels or points.", v_if=("old_mesh",), id="old-mesh", classes="text-caption")


def _tables() -> None:
    titles = "tables.map((table, value) => ({title: table.title, value}))"
    with html.Div(v_if=("tables.length",)):
        vuetify.VSelect(v_model=("table",), items=(titles,), label="Table", density="compact", id="table")
        with html.Table(classes="text-caption", style="border-spacing: 6px 0", id="measurements"):
            with html.Tr():
                html.Th("{{ column }}", v_for="column in tables[table].columns", key="column")
            with html.Tr(v_for="(row, number) in tables[table].rows", key="number"):
                html.Td("{{ cell }}", v_for="(cell, n) in row", key="n")


def _downloads(app: Answers) -> None:
    _button("Prepare files", "prepare", app.prepare_downloads, disabled=("busy || !name",))
    with html.Div(v_for="file in downloads", key="file"):
        html.A("{{ file }}", href=("'download/' + file",), download=True, classes="download")

"""Choices in human words. The parameter node keeps the names that the library knows, and Slicer's binding shows those;
the panels put these texts in their place.
"""

from collections.abc import Mapping

from CardiacLib.mrml.translation import _


def words() -> Mapping[str, Mapping[str, str]]:
    """By parameter, the text of each value; a value without a text is shown by its name."""
    automatic = _("Automatic")
    return {
        "bundle": {
            "cineheart_sax": _("CineHeart short axis (comes with CineHeart)"),
            "ventricular_short_axis_3label": _("Published residual U-Net (fetch it first)"),
            "cineheart_lax_landmarks": _("CineHeart valve points (comes with CineHeart)"),
            "valve_landmarks": _("Published point regressor (fetch it first)"),
        },
        "species": {"human": _("Human"), "rat": _("Rat"), "mouse": _("Mouse")},
        "quality": {"fast": _("Fast"), "best": _("Best, four times as long")},
        "device": {
            "auto": automatic,
            "cpu": _("Processor"),
            "cuda": _("NVIDIA graphics processor (CUDA)"),
            "mps": _("Apple graphics processor (Metal)"),
            "gpu": _("Intel graphics processor (OpenVINO)"),
        },
        "backend": {"auto": automatic, "torch": "PyTorch", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"},
        "papillary": {
            "cavity": _("Counted as blood"),
            "myocardium": _("Counted as myocardium"),
        },
        "view": {
            "surfaces": _("Surfaces"),
            "fibres": _("Fibres"),
            "helix": _("Helix angle"),
            "region": _("Regions"),
            "aha": _("AHA segments"),
            "transmural": _("Depth in the wall"),
            "apicobasal": _("From apex to base"),
            "rotational": _("Around the long axis"),
            "strain": _("Circumferential strain"),
        },
    }


def show_words(ui, parameters) -> None:
    """Show the choices of a panel in words; called after its widgets were bound to the parameter node.

    Args:
        ui: the loaded ``.ui``.
        parameters: the wrapped parameter node, whose ``Choice`` annotations give the order of the values.
    """
    for widget in vars(ui).values():
        name = widget.property("SlicerParameterName")
        for value, text in words().get(name, {}).items():
            choices = choices_of(parameters, name)
            if value in choices:
                widget.setItemText(choices.index(value), text)


def choices_of(parameters, name: str) -> list[str]:
    """The values of a parameter that is a choice, in their order."""
    annotations = getattr(parameters.dataType(name), "__metadata__", ())
    return next((list(found.choices) for found in annotations if hasattr(found, "choices")), [])

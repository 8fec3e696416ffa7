"""``cineheart gif``: a cine, with or without contours, as an animated picture or a video in real time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.cases import read_one_image
from CardiacLib.readers.labels.label_files import read_labels
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from cineheart.console import Answer
from cineheart.report.pictures import caption, crop_box, dark_figure, draw_contours, grey_range, show

from .video import import_opencv, write_mp4

BEAT_MS = 1000.0
"""Of a cine whose file gives no times."""
SHORTEST_MS = 20.0
"""Programs show shorter frames of a GIF slower than asked."""
MARGIN_MM = 25.0
MOST_COLUMNS = 5


@dataclass(frozen=True)
class GifOptions:
    """What is drawn.

    Attributes:
        labels: label map of the same frames; the picture is then cropped round them.
        slices: ``all``, ``middle``, or numbers from 1 separated by commas.
        order: of the label values.
    """

    labels: Path | None = None
    slices: str = "all"
    order: str = "auto"


def write_gif(source: Path, output: Path, options: GifOptions | None = None, *, progress: Progress = silent) -> Answer:
    """Draw every frame and write the GIF, which loops in the time of the heart beat, or an MP4 of several beats.

    Raises:
        InputError: the output is no ``.gif`` or ``.mp4``, what writes it is not installed, the labels are on another
            grid, or there is no such slice.
    """
    options = options or GifOptions()
    require_output(output.parent)
    if output.suffix.lower() not in WRITERS:
        raise InputError(f"{output}: a moving picture is written as {' or '.join(WRITERS)}.")
    if output.suffix.lower() == ".mp4":
        import_opencv()
    cine = read_one_image(source)
    labels = None if options.labels is None else _labels(options, cine)
    chosen = chosen_slices(options.slices, cine.n_slices)
    pictures = []
    for t in range(cine.n_frames):
        progress(t / cine.n_frames, f"drawing frame {t + 1} of {cine.n_frames}")
        pictures.append(draw_frame(cine, labels, t, chosen))
    durations = frame_durations_ms(cine.times_ms, cine.n_frames)
    facts = {"frames": cine.n_frames, "slices": len(chosen), "output": str(output)}
    with atomic_directory(output.parent) as work:
        beats = WRITERS[output.suffix.lower()](work / output.name, pictures, durations)
    notes = cine.notes if labels is None else (*cine.notes, *labels.notes)
    return Answer(facts | ({"beats": beats} if beats > 1 else {}), notes)


def _write_gif(path: Path, pictures: list[np.ndarray], durations_ms: list[int]) -> int:
    from PIL import Image

    first, *rest = (Image.fromarray(picture) for picture in pictures)
    first.save(path, save_all=True, append_images=rest, duration=durations_ms, loop=0)
    return 1


WRITERS = {".gif": _write_gif, ".mp4": write_mp4}
"""What writes one beat, by the ending of the file."""


def draw_frame(cine: Cine, labels: LabelMap | None, t: int, slices: list[int]) -> np.ndarray:
    """RGB (H, W, 3) uint8 of chosen slices of one frame side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    heart = np.ones(cine.frames.shape[2:], bool) if labels is None else (labels.labels > 0).any((0, 1))
    box = crop_box(heart, cine.spacing[:2], MARGIN_MM)
    height, width = (n * mm for n, mm in zip((s.stop - s.start for s in box), cine.spacing[1::-1], strict=True))
    columns = min(len(slices), MOST_COLUMNS)
    rows, side = -(-len(slices) // columns), 4.0 if len(slices) == 1 else 2.0
    figure = dark_figure(side * columns, side * rows * height / width)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.02, hspace=0.02)
    window = grey_range(cine.frames)
    for axis in axes:
        axis.set_axis_off()
    for axis, k in zip(axes, slices, strict=False):
        show(axis, cine.frames[t, k], box, window, cine.spacing)
        if labels is not None:
            draw_contours(axis, labels.labels[t, k], box)
        caption(axis, f"slice {k + 1}" if k != slices[0] else f"slice {k + 1}, frame {t + 1}")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def chosen_slices(text: str, count: int) -> list[int]:
    """Slices, from 0, that ``all``, ``middle`` or numbers from 1 name.

    Raises:
        InputError: there is no such slice.
    """
    if text == "all":
        return list(range(count))
    if text == "middle":
        return [count // 2]
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 1 <= int(part) <= count for part in parts):
        raise InputError(f"There is no slice '{text}': give all, middle, or numbers from 1 to {count}.")
    return [int(part) - 1 for part in parts]


def frame_durations_ms(times_ms: np.ndarray | None, count: int) -> list[int]:
    """How long each frame is shown, in whole ms; the last one as long as the mean of the others."""
    if times_ms is None or count == 1 or times_ms[-1] <= times_ms[0]:
        steps = np.full(count, BEAT_MS / count)
    else:
        steps = np.diff(times_ms, append=times_ms[-1] + (times_ms[-1] - times_ms[0]) / (count - 1))
    return np.maximum(np.rint(steps / 10) * 10, SHORTEST_MS).astype(int).tolist()


def _labels(options: GifOptions, cine: Cine) -> LabelMap:
    assert options.labels is not None
    labels = read_labels(options.labels, options.order)
    if labels.labels.shape != cine.frames.shape:
        shapes = [" x ".join(map(str, a.shape[::-1])) for a in (labels.labels, cine.frames)]
        raise InputError(f"{options.labels}: its voxels are {shapes[0]}, those of the cine {shapes[1]}.")
    return labels

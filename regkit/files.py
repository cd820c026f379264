"""Images from files: pictures, NIfTI and DICOM, with the sides of their cells.

Pictures are read by Pillow. NIfTI needs nibabel, DICOM needs pydicom: pip install 'regkit[medical]'.

Which index is which follows what people have at hand:

    pictures, a single DICOM file    image[i, j]: row i from the top, column j from the left, as
                                     ``numpy.asarray`` has it
    pages of a TIFF file             image[page, i, j]
    NIfTI, a folder of DICOM files   image[i, j, k]: to the patient's right, to the front, to the
                                     head, whatever the order in the file ("RAS+")

As everywhere in regkit the point of ``image[i, j]`` is ((i + ½) h₁, (j + ½) h₂): for pictures the
first coordinate runs down.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from regkit._require import require
from regkit.data import _needed
from regkit.grid import Grid

LARGEST = 1 << 27  # cells: one gigabyte in double precision
_NIFTI = (".nii", ".nii.gz", ".hdr", ".img")
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def read(path: str | Path, *, spacing: float | Sequence[float] | None = None) -> tuple[torch.Tensor, Grid]:
    """An image from a file, in grey, and its grid.

    Of colours the luminance is taken, 0.299 R + 0.587 G + 0.114 B; what is transparent is black. A
    photograph is turned upright as its EXIF data say. 16 bits stay 16 bits: nothing is rescaled,
    except by what NIfTI and DICOM files say themselves. An axis with one cell only is left out.

    Args:
        path: a picture that Pillow can read (PNG, JPEG, TIFF, …), a NIfTI file (.nii, .nii.gz), a
            DICOM file, or a folder with the DICOM files of one series.
        spacing (one number, or one for each axis): the sides of the cells, in any unit. None for
            what the file says, in millimetres; for pictures one.

    Returns:
        The image, float64, and its ``Grid``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file that is empty, broken, too large or no image; for several volumes in
            one file or several series in one folder; and for slices at unequal distances.
        ImportError: without the package that the file needs.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (30, 20), 7).save(f"{folder}/wide.png")
        ...     image, grid = read(f"{folder}/wide.png", spacing=0.5)
        >>> tuple(image.shape), grid.extent, float(image.max())
        ((20, 30), (10.0, 15.0), 7.0)
    """
    known = isinstance(path, str | os.PathLike)
    require(known, f"expected the name of a file, got {type(path).__name__}")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"expected a file, got {path}, which does not exist")
    if path.is_dir():
        values, sides = _series(path)
    else:
        require(path.stat().st_size > 0, f"expected an image, got {path}, which is empty")
        if path.name.lower().endswith(_NIFTI):
            values, sides = _nifti(path)
        elif _is_dicom(path):
            values, sides = _slice(path)
        else:
            values, sides = _picture(path)
    kept = [k for k, cells in enumerate(values.shape) if cells > 1] or [0]
    sides = [sides[k] for k in kept]
    values = values.reshape([values.shape[k] for k in kept])
    if spacing is not None:
        try:
            given = np.atleast_1d(np.asarray(spacing, dtype=float))
        except (TypeError, ValueError):
            given = np.empty(0)
        fits = given.ndim == 1 and len(given) in (1, len(sides))
        require(fits, f"expected spacing as one number or {len(sides)}, got {spacing!r}")
        sides = np.broadcast_to(given, len(sides)).tolist()
    usable = all(math.isfinite(side) and side > 0 for side in sides)
    require(usable, f"expected cells with sides of positive length, got {sides} of {path}")
    image = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
    extent = tuple(side * cells for side, cells in zip(sides, image.shape, strict=True))
    return image, Grid(extent, tuple(image.shape))


def _read_by(path: Path, kind: str, opened: Callable[[], Any]) -> Any:
    """What ``opened`` returns; a sentence in the place of whatever it raises."""
    try:
        return opened()
    except (MemoryError, ImportError):
        raise
    except Exception as failure:  # each library has its own dozen
        said = str(failure).strip().splitlines()
        message = f"expected {kind}, got {path}, which cannot be read: {said[0] if said else failure!r}"
    raise ValueError(message)


def _small_enough(path: Path, shape: Sequence[int]) -> None:
    cells = math.prod(shape)
    size = " × ".join(map(str, shape))
    require(cells > 0, f"expected an image with at least one cell, got {path} with {size}")
    require(
        cells <= LARGEST,
        f"expected at most {LARGEST} cells, got {path} with {size}: make it smaller, or cut a part out",
    )


# ---- pictures


def _picture(path: Path) -> tuple[np.ndarray, list[float]]:
    pillow = _needed("PIL.Image", "read", "Pillow")
    upright = _needed("PIL.ImageOps", "read", "Pillow").exif_transpose

    def opened() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)  # there is a bound here
            with pillow.open(path) as file:
                pages = getattr(file, "n_frames", 1) if file.format == "TIFF" else 1
                _small_enough(path, (*[pages] * (pages > 1), *file.size[::-1]))
                if pages == 1:
                    return _grey(upright(file))
                volume = []
                for page in range(pages):
                    file.seek(page)
                    volume.append(_grey(file))
                shapes = {each.shape for each in volume}
                require(len(shapes) == 1, f"expected pages of one size, got {sorted(shapes)}")
                return np.stack(volume)

    values = _read_by(path, "a picture (PNG, JPEG, TIFF), NIfTI or DICOM", opened)
    return values, [1.0] * values.ndim


def _grey(file: Any) -> np.ndarray:
    """The values of one picture of Pillow, rows first."""
    if file.mode.startswith(("I", "F")):
        return np.asarray(file, dtype=np.float64)
    if file.mode in ("1", "L") and "transparency" not in file.info:
        return np.asarray(file.convert("L"), dtype=np.float64)
    transparent = file.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in file.info
    values = np.asarray(file.convert("RGBA" if transparent else "RGB"), dtype=np.float64)
    grey = values[..., :3] @ _LUMINANCE
    return grey * values[..., 3] / 255 if transparent else grey


# ---- volumes


def _upright(values: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """A volume with its axes in the order right, front, head, and the sides of its cells.

    A patient that lies askew stays askew: axes are exchanged and reversed, nothing is interpolated.

    Args:
        values (m₁, m₂, m₃): the grey values.
        directions (3, 3): in each column the way from one cell to the next along an axis, in
            millimetres to the right, to the front, to the head.
    """
    sides = np.linalg.norm(directions, axis=0)
    usable = np.isfinite(sides).all() and (sides > 0).all()
    require(usable, f"expected cells with sides of positive length, got {sides.tolist()}")
    angles = np.degrees(np.arccos(np.abs((directions / sides).T @ (directions / sides)).clip(0, 1)))
    least = float(angles[~np.eye(3, dtype=bool)].min())
    require(
        least > 89, f"expected axes at right angles, got {least:.3g}°: the cells are askew, resample them"
    )
    _, order = linear_sum_assignment(-np.abs(directions / sides))
    values = values.transpose(order)
    backwards = [axis for axis, column in enumerate(order) if directions[axis, column] < 0]
    return np.flip(values, backwards), sides[order].tolist()


def _nifti(path: Path) -> tuple[np.ndarray, list[float]]:
    nibabel = _needed("nibabel", "read", "nibabel", "medical")
    file = _read_by(path, "a NIfTI file", lambda: nibabel.load(path))
    shape = file.shape
    _small_enough(path, shape)
    one = all(cells == 1 for cells in shape[3:])
    require(one, f"expected one volume, got {path} with {' × '.join(map(str, shape))}: cut one out")
    plain = file.get_data_dtype().fields is None and file.get_data_dtype().kind != "c"
    require(plain, f"expected real grey values, got {path} with colours or complex numbers")
    values = _read_by(path, "a NIfTI file", lambda: np.asarray(file.get_fdata(dtype=np.float64)))
    values = values.reshape((*shape, 1, 1)[:3])
    return _upright(values, np.asarray(file.affine)[:3, :3])


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or path.suffix.lower() in (".dcm", ".ima")


def _dicom(path: Path, **options: Any) -> Any:
    pydicom = _needed("pydicom", "read", "pydicom", "medical")
    return _read_by(path, "a DICOM file", lambda: pydicom.dcmread(path, **options))


def _pixels(path: Path) -> tuple[np.ndarray, tuple[float, float], Any]:
    """The values (rows, columns) of one DICOM file, the sides of its cells, and the rest of it."""
    file = _dicom(path)
    require("PixelData" in file, f"expected a DICOM file with an image, got {path}, which has none")
    frames = int(file.get("NumberOfFrames") or 1)
    require(frames == 1, f"expected a DICOM file with one image, got {path} with {frames}")
    _small_enough(path, (int(file.Rows), int(file.Columns)))
    known = file.PhotometricInterpretation != "PALETTE COLOR"
    require(known, f"expected grey values or red, green and blue, got {path} with a palette")
    values = _read_by(path, "a DICOM file", lambda: np.asarray(file.pixel_array, dtype=np.float64))
    if values.ndim == 3:  # of Y, Cb and Cr the first is the luminance
        is_rgb = file.PhotometricInterpretation == "RGB"
        values = values @ _LUMINANCE if is_rgb else values[..., 0]
    if file.PhotometricInterpretation == "MONOCHROME1":  # whose largest value is black
        values = (-1 if file.PixelRepresentation else 2 ** int(file.BitsStored) - 1) - values
    values = values * float(file.get("RescaleSlope") or 1) + float(file.get("RescaleIntercept") or 0)
    sides = file.get("PixelSpacing") or file.get("ImagerPixelSpacing") or (1.0, 1.0)
    return values, (float(sides[0]), float(sides[1])), file


def _slice(path: Path) -> tuple[np.ndarray, list[float]]:
    values, sides, _ = _pixels(path)
    return values, [*sides]


def _series(folder: Path) -> tuple[np.ndarray, list[float]]:
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and _is_dicom(path)]
    require(len(files) > 0, f"expected a folder of DICOM files, got {folder}, which has none")
    heads = [(path, _dicom(path, stop_before_pixels=True)) for path in files]
    heads = [(path, head) for path, head in heads if "Rows" in head]
    names = {str(head.get("SeriesInstanceUID")) for _, head in heads}
    require(len(names) == 1, f"expected the images of one series in {folder}, got {len(names)} series")
    if len(heads) == 1:
        return _slice(heads[0][0])
    for path, head in heads:
        known = "ImagePositionPatient" in head and "ImageOrientationPatient" in head
        require(known, f"expected slices that say where they are, got {path}, which does not")
    along = np.array(heads[0][1].ImageOrientationPatient, dtype=float).reshape(2, 3)
    for path, head in heads:
        same = np.allclose(
            np.array(head.ImageOrientationPatient, dtype=float).reshape(2, 3), along, atol=1e-3
        )
        require(same, f"expected parallel slices in {folder}, got {path}, which is turned")
    normal = np.cross(*along)
    places = np.array([np.array(head.ImagePositionPatient, dtype=float) @ normal for _, head in heads])
    order = places.argsort()
    steps = np.diff(places[order])
    even = steps.min() > 0 and steps.max() < 1.02 * steps.min()
    require(
        even,
        f"expected slices at equal distances in {folder}, got {steps.min():.4g} to {steps.max():.4g} mm: "
        "some may be missing, or there twice",
    )
    _small_enough(folder, (int(heads[0][1].Rows), int(heads[0][1].Columns), len(heads)))
    slices = [_pixels(heads[k][0])[:2] for k in order]
    kinds = {(values.shape, sides) for values, sides in slices}
    require(len(kinds) == 1, f"expected slices of one shape in {folder}, got {len(kinds)} shapes")
    (_, sides), *_ = kinds
    volume = np.stack([values.T for values, _ in slices], -1)  # column, row, slice
    first, last = (np.array(heads[k][1].ImagePositionPatient, dtype=float) for k in order[[0, -1]])
    between = (last - first) / (len(heads) - 1)  # along the normal, unless the scanner was tilted
    directions = np.stack([along[0] * sides[1], along[1] * sides[0], between], 1)
    return _upright(volume, np.array([[-1.0], [-1.0], [1.0]]) * directions)  # DICOM: to the left, to the back

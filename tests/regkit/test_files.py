"""Images from files made here: right way up, right units, and a sentence for what is no image."""

from __future__ import annotations

import builtins
import gzip

import numpy as np
import pytest
import torch
from PIL import Image

import regkit.files
from regkit.files import read
from regkit.grid import Grid

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")

# No two of its values agree, nor do its sides: every other order of the axes would be seen.
PICTURE = (np.arange(20 * 30).reshape(20, 30) % 251).astype(np.uint8)
VOLUME = (np.arange(4 * 5 * 6).reshape(4, 5, 6) * 7 % 241).astype(np.int16)  # right, front, head
SIDES = (1.5, 2.5, 4.0)


def values(path, **options):
    image, grid = read(path, **options)
    assert image.dtype == torch.float64 and tuple(image.shape) == grid.shape
    return image.numpy()


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "pgm"])
def test_a_picture_is_as_numpy_has_it(suffix, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / f"p.{suffix}")
    image, grid = read(tmp_path / f"p.{suffix}")
    assert np.array_equal(image, PICTURE) and grid == Grid((20, 30), (20, 30))


@pytest.mark.parametrize(("spacing", "extent"), [(0.5, (10, 15)), ((2.0, 3.0), (40, 90))])
def test_sides_can_be_given(spacing, extent, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "p.png")
    image, grid = read(str(tmp_path / "p.png"), spacing=spacing)
    assert grid == Grid(extent, (20, 30))
    row, column = 3, 7  # the point of a cell
    point = grid.points().reshape(20, 30, 2)[row, column]
    sides = np.broadcast_to(spacing, 2)
    assert point.tolist() == pytest.approx([3.5 * sides[0], 7.5 * sides[1]])
    assert image[row, column] == PICTURE[row, column]


def test_sixteen_bits_stay(tmp_path):
    deep = PICTURE.astype(np.uint16) * 200
    for suffix in ("png", "tiff"):
        Image.fromarray(deep).save(tmp_path / f"p.{suffix}")
        assert np.array_equal(values(tmp_path / f"p.{suffix}"), deep)
    Image.fromarray(deep.astype(np.float32) / 7).save(tmp_path / "f.tiff")
    assert np.array_equal(values(tmp_path / "f.tiff"), deep.astype(np.float32) / 7)
    Image.fromarray(PICTURE > 100).save(tmp_path / "b.png")
    assert np.array_equal(values(tmp_path / "b.png"), 255.0 * (PICTURE > 100))


def test_colours_give_their_luminance(tmp_path):
    colours = np.stack([PICTURE, PICTURE // 2, 255 - PICTURE], -1)
    expected = colours @ [0.299, 0.587, 0.114]
    Image.fromarray(colours).save(tmp_path / "c.png")
    assert values(tmp_path / "c.png") == pytest.approx(expected)
    alpha = np.where(PICTURE > 100, 255, 51).astype(np.uint8)
    Image.fromarray(np.dstack([colours, alpha])).save(tmp_path / "a.png")
    assert values(tmp_path / "a.png") == pytest.approx(expected * alpha / 255)
    palette = Image.fromarray(colours // 64 * 64).quantize(200)
    palette.save(tmp_path / "p.png")
    rgb = np.asarray(palette.convert("RGB"), dtype=float) @ [0.299, 0.587, 0.114]
    assert palette.mode == "P" and values(tmp_path / "p.png") == pytest.approx(rgb)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photograph_is_turned_upright(turn, tmp_path):
    """EXIF orientation, against its eight cases written out: what has to be done to the stored picture."""
    stored = np.repeat(np.repeat(np.arange(6).reshape(2, 3) * 40, 16, 0), 16, 1).astype(np.uint8)
    undo = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).T,
        8: np.rot90,
    }
    file, exif = Image.fromarray(stored), Image.Exif()
    exif[0x0112] = turn
    file.save(tmp_path / "p.jpg", exif=exif, quality=100)
    assert np.abs(values(tmp_path / "p.jpg") - undo[turn](stored)).max() < 3


def test_pages_are_a_volume(tmp_path):
    pages = [Image.fromarray(np.roll(PICTURE, k, 0)) for k in range(3)]
    pages[0].save(tmp_path / "stack.tiff", save_all=True, append_images=pages[1:])
    image, grid = read(tmp_path / "stack.tiff", spacing=(5, 1, 2))
    assert np.array_equal(image, np.stack(pages)) and grid.extent == (15, 20, 60)
    pages[1] = Image.fromarray(PICTURE[:5])
    pages[0].save(tmp_path / "odd.tiff", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"expected pages of one size, got \[\(5, 30\), \(20, 30\)\]"):
        read(tmp_path / "odd.tiff")


# ---- NIfTI

TURNED = {  # how a file may hold the same patient: which axis is which, and which way it runs
    "RAS": ((0, 1, 2), (1, 1, 1)),
    "LPS": ((0, 1, 2), (-1, -1, 1)),
    "PIR": ((1, 2, 0), (-1, -1, 1)),
    "SAL": ((2, 1, 0), (1, 1, -1)),
}


def nifti(folder, order=(0, 1, 2), signs=(1, 1, 1), name="v.nii.gz", askew=0.0):
    """VOLUME as a file whose axis k is the patient's axis order[k], running in the direction of signs[k]."""
    stored, affine = VOLUME.transpose(order), np.eye(4)
    affine[:3, :3] = 0
    for axis, (patient, sign) in enumerate(zip(order, signs, strict=True)):
        stored = np.flip(stored, axis) if sign < 0 else stored
        affine[patient, axis] = sign * SIDES[patient]
    c, s = np.cos(askew), np.sin(askew)
    affine = np.array([[c, -s, 0, 3], [s, c, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1]]) @ affine
    nibabel.save(nibabel.Nifti1Image(stored, affine), folder / name)
    return folder / name


@pytest.mark.parametrize("how", TURNED.values(), ids=TURNED)
@pytest.mark.parametrize("askew", [0.0, 0.2])
def test_a_nifti_file_lies_as_the_patient_does(how, askew, tmp_path):
    image, grid = read(nifti(tmp_path, *how, askew=askew))
    assert np.array_equal(image, VOLUME)
    assert grid.spacing == pytest.approx(SIDES) and grid.shape == (4, 5, 6)


def test_nifti_with_a_scale_a_slice_and_several_volumes(tmp_path):
    file = nibabel.Nifti1Image(VOLUME, np.diag([*SIDES, 1]))
    file.header.set_slope_inter(0.5, -3)
    nibabel.save(file, tmp_path / "scaled.nii")
    assert values(tmp_path / "scaled.nii") == pytest.approx(0.5 * VOLUME - 3)
    nibabel.save(nibabel.Nifti1Image(VOLUME[:, :1], np.diag([*SIDES, 1])), tmp_path / "slice.nii")
    image, grid = read(tmp_path / "slice.nii")
    assert np.array_equal(image, VOLUME[:, 0]) and grid.spacing == (1.5, 4.0)
    nibabel.save(nibabel.Nifti1Image(np.stack([VOLUME] * 2, -1), np.eye(4)), tmp_path / "four.nii")
    with pytest.raises(
        ValueError, match=r"expected one volume, got .*four.nii with 4 × 5 × 6 × 2: cut one out"
    ):
        read(tmp_path / "four.nii")
    nibabel.save(nibabel.Nifti1Image(VOLUME.astype(np.complex64), np.eye(4)), tmp_path / "complex.nii")
    with pytest.raises(ValueError, match=r"expected real grey values, got .*complex.nii"):
        read(tmp_path / "complex.nii")


# ---- DICOM


def dicom(path, rows, position=(0, 0, 0), along=(1, 0, 0, 0, 1, 0), series="1.2.3", **entries):
    """One slice as a file; ``rows`` are what a viewer shows, row by row."""
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file.SOPClassUID, file.SOPInstanceUID = file.file_meta.MediaStorageSOPClassUID, pydicom.uid.generate_uid()
    file.Rows, file.Columns = rows.shape[:2]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 0
    file.SeriesInstanceUID = series
    file.PixelSpacing = [SIDES[1], SIDES[0]]
    file.ImagePositionPatient, file.ImageOrientationPatient = list(map(float, position)), list(along)
    for name, value in entries.items():
        setattr(file, name, value)
    file.PixelData = np.ascontiguousarray(rows, dtype="<u2").tobytes()
    file.save_as(path, enforce_file_format=True)
    return path


def test_a_dicom_file_is_as_a_viewer_shows_it(tmp_path):
    rows = PICTURE.astype(np.uint16)
    image, grid = read(dicom(tmp_path / "a.dcm", rows, RescaleSlope=2, RescaleIntercept=-1000))
    assert np.array_equal(image, 2.0 * rows - 1000) and grid.spacing == pytest.approx((2.5, 1.5))
    inverse = dicom(tmp_path / "nosuffix", rows, PhotometricInterpretation="MONOCHROME1", BitsStored=12)
    assert np.array_equal(values(inverse), 4095 - rows.astype(float))


def series(folder, shuffle=False, heights=range(6), **entries):
    """VOLUME in slices across the body, as scanners do: columns to the patient's left, rows to the back."""
    for k, height in enumerate(heights):
        rows = VOLUME[::-1, ::-1, k].T
        name = f"{(5 * k) % 7 if shuffle else k}.dcm"
        dicom(folder / name, rows, (10, 20, 30 + SIDES[2] * height), **entries)
    return folder


def test_a_folder_of_slices_is_the_same_patient(tmp_path):
    (tmp_path / "readme.txt").write_text("not a slice")
    image, grid = read(series(tmp_path, shuffle=True))
    assert np.array_equal(image, VOLUME) and grid.spacing == pytest.approx(SIDES)


def test_slices_from_front_to_back(tmp_path):
    """The same patient cut otherwise: columns to the left, rows to the feet."""
    for k in range(5):
        place = (0, -SIDES[1] * k, 0)
        rows = VOLUME[::-1, k, ::-1].T
        spacing = [SIDES[2], SIDES[0]]
        dicom(tmp_path / f"{k}", rows, place, (1, 0, 0, 0, 0, -1), PixelSpacing=spacing)
    image, grid = read(tmp_path)
    assert np.array_equal(image, VOLUME) and grid.spacing == pytest.approx(SIDES)


def test_slices_that_are_no_volume(tmp_path):
    kinds = {
        "missing": (lambda f: series(f, heights=[0, 1, 3, 4]), "slices at equal distances .* got 4 to 8 mm"),
        "twice": (lambda f: series(f, heights=[0, 1, 1, 2]), "slices at equal distances .* got 0 to 4 mm"),
        "empty": (lambda f: None, "expected a folder of DICOM files, got .*empty, which has none"),
        "two": (
            lambda f: (series(f), dicom(f / "x", PICTURE, series="9")),
            "expected the images of one series in .*two, got 2 series",
        ),
        "turned": (
            lambda f: (series(f), dicom(f / "x", VOLUME[0], (0, 0, 99), (0, 1, 0, 1, 0, 0))),
            "expected parallel slices in .*turned, got .*x, which is turned",
        ),
        "shapes": (
            lambda f: (series(f), dicom(f / "x", PICTURE, (10, 20, 54))),
            "expected slices of one shape in .*shapes, got 2 shapes",
        ),
    }
    for name, (make, message) in kinds.items():
        (tmp_path / name).mkdir()
        make(tmp_path / name)
        with pytest.raises(ValueError, match=message):
            read(tmp_path / name)


def test_dicom_without_one_image(tmp_path):
    file = dicom(tmp_path / "film.dcm", np.concatenate([PICTURE, PICTURE]), NumberOfFrames=2, Rows=20)
    with pytest.raises(ValueError, match=r"expected a DICOM file with one image, got .*film.dcm with 2"):
        read(file)
    head = pydicom.dcmread(file)
    del head.PixelData
    head.save_as(tmp_path / "report.dcm")
    with pytest.raises(ValueError, match=r"expected a DICOM file with an image, got .*report.dcm, which has"):
        read(tmp_path / "report.dcm")


# ---- what is no image

BROKEN = {
    "text.png": b"this is a letter, not a picture",
    "cut.png": None,
    "v.nii.gz": gzip.compress(b"nothing of the kind"),
    "v.nii": b"\x00" * 400,
    "cut.nii.gz": None,
    "x.dcm": b"not a scan",
    "image": b"\x00" * 128 + b"DICM" + b"rubbish",
    "noise.jpg": bytes(range(256)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_called_so(name, tmp_path):
    if name == "cut.png":
        Image.fromarray(PICTURE).save(tmp_path / "whole.png")
        whole = (tmp_path / "whole.png").read_bytes()
        content = whole[: len(whole) // 2]
    elif name == "cut.nii.gz":
        content = nifti(tmp_path).read_bytes()[:-60]
    else:
        content = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"expected a .*, got .*{name}, which (cannot be read: \S|has none)"
    ):
        read(tmp_path / name)


def test_no_file_and_an_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a file, got .*none.png, which does not exist"):
        read(tmp_path / "none.png")
    for name in ("a.png", "a.nii", "a.dcm"):
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match=f"expected an image, got .*{name}, which is empty"):
            read(tmp_path / name)


def test_what_is_too_large_is_not_begun(tmp_path, monkeypatch):
    Image.fromarray(PICTURE).save(tmp_path / "p.png")
    paths = [tmp_path / "p.png", nifti(tmp_path), dicom(tmp_path / "d.dcm", PICTURE)]
    monkeypatch.setattr(regkit.files, "LARGEST", 100)
    for path in paths:
        with pytest.raises(
            ValueError, match=r"expected at most 100 cells, got .* with \d+ × \d+.*: make it smaller"
        ):
            read(path)


@pytest.mark.parametrize("spacing", [0, -1.0, np.nan, (1, 2, 3), "wide", [[1.0]]])
def test_sides_that_are_none(spacing, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "p.png")
    with pytest.raises(ValueError, match=r"expected (cells with sides|spacing as)|could not convert"):
        read(tmp_path / "p.png", spacing=spacing)


@pytest.mark.parametrize("package", ["nibabel", "pydicom"])
def test_a_missing_package_is_named(package, tmp_path, monkeypatch):
    path = nifti(tmp_path) if package == "nibabel" else dicom(tmp_path / "d.dcm", PICTURE)
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr("importlib.import_module", lambda name: without(name))
    with pytest.raises(
        ImportError, match=rf"expected an installed {package}, .* pip install 'regkit\[medical\]'"
    ):
        read(path)


@pytest.mark.parametrize("name", [None, 3, b"p.png", ["p.png"]])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match=r"expected the name of a file, got \w+"):
        read(name)


def test_cells_that_are_no_boxes(tmp_path):
    """Sheared cells, and slices of a scanner that was tilted: no turn of the axes makes a grid of them."""
    affine = np.diag([*SIDES, 1.0])
    affine[0, 1] = 0.3
    nibabel.save(nibabel.Nifti1Image(VOLUME, affine), tmp_path / "sheared.nii")
    with pytest.raises(ValueError, match=r"expected axes at right angles, got 83.2°: the cells are askew"):
        read(tmp_path / "sheared.nii")
    for k in range(5):
        dicom(tmp_path / f"tilted{k}", VOLUME[::-1, ::-1, k].T, (0, 2.0 * k, SIDES[2] * k))
    for file in tmp_path.iterdir():
        if file.suffix:
            file.unlink()
    with pytest.raises(ValueError, match=r"expected axes at right angles, got 63.4°: the cells are askew"):
        read(tmp_path)


def test_a_palette_is_no_grey(tmp_path):
    file = dicom(tmp_path / "p.dcm", PICTURE.astype(np.uint16), PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(
        ValueError, match=r"expected grey values or red, green and blue, got .*p.dcm with a palette"
    ):
        read(file)

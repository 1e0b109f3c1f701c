"""Writes rosettasciio.json: what RosettaSciIO reads from the reference files.

KALPHA_REFERENCE names the folder of the reference data (default: shared beside the checkout).
"""

import hashlib
import importlib
import json
import logging
import os
import pathlib
import tempfile
import warnings
import zipfile

import numpy as np
import rsciio

HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))


def axis_entry(axis):
    entry = {"name": str(axis["name"])} if axis.get("name") else {}
    unit = axis.get("units")
    entry["unit"] = str(unit) if unit else ""
    if axis.get("axis") is not None:
        points = np.asarray(axis["axis"], dtype=float)
        entry |= {"first": points[0], "last": points[-1], "len": len(points)}
    else:
        entry |= {"offset": float(axis.get("offset") or 0), "scale": float(axis.get("scale", 1))}
    return entry


def entry(file, signal, found, differs=None, member=None, spectrum=None):
    """One entry; `spectrum` is the index of the spectrum axis where it is not the last."""
    values, axes = np.asarray(found["data"]), list(found["axes"])
    if spectrum is not None:
        values = np.moveaxis(values, spectrum, -1)
        axes.append(axes.pop(spectrum))
    out = {"file": file}
    if member:
        out["member"] = member
    if signal:
        out["signal"] = signal
    stored = np.ascontiguousarray(values)
    stored = stored.astype(stored.dtype.newbyteorder("<"))
    out |= {
        "shape": list(values.shape),
        "dtype": str(values.dtype.newbyteorder("=")),
        "sum": float(np.sum(values[np.isfinite(values)], dtype=float)),
        "sha256": hashlib.sha256(stored.tobytes()).hexdigest(),
        "axes": [axis_entry(a) for a in axes],
    }
    if differs:
        out["differs"] = differs
    return out


def read(module, file, **options):
    reader = importlib.import_module(f"rsciio.{module}").file_reader
    return reader(str(ROOT / file), **options)


def bruker():
    square = {
        "axis 0": "the file gives pixels a width and a height, and they differ; RosettaSciIO "
        "takes the height for both axes"
    }
    for name, differs in [
        ("eds/P45_12bit_packed_8bit.bcf", None),
        ("eds/bcf_v2_50x50px.bcf", {"axis 1": square["axis 0"]}),
        ("eds/test_TEM.bcf", None),
        ("formats/4on3_full.bcf", None),
    ]:
        file = f"data/{name}"
        (cube,) = read("bruker", file, select_type="spectrum_image")
        yield entry(file, None, cube, differs)
    for name, images in [
        ("eds/P45_12bit_packed_8bit.bcf", ["image BSE", "image SE"]),
        ("eds/bcf_v2_50x50px.bcf", ["image Ch 1", "overview Ch 1"]),
        ("eds/test_TEM.bcf", ["image HAADF"]),
        ("formats/4on3_full.bcf", ["image SE"]),
    ]:
        file = f"data/{name}"
        found = read("bruker", file, select_type="image")
        for image, values in zip(images, found, strict=True):
            yield entry(file, image, values)


def hspy():
    for name in [
        "eds/EDS_SEM_TM002", "eds/EDS_TEM_FePt_nanoparticles", "eds/FePt_core_shell",
        "eels/CuZn_EELS_SI", "eels/EELS_LL_simulated_thickness",
        "eels/EELS_ZLP_simulated_thickness", "eels/LSMO_linescan", "eels/LSMO_linescan_low_loss",
    ]:
        file = f"data/{name}.hspy"
        (found,) = read("hspy", file)
        yield entry(file, None, found)


def ripple():
    (found,) = read("ripple", "data/formats/4on3_full.rpl")
    yield entry("data/formats/4on3_full.rpl", None, found)


def digitalmicrograph():
    images = [
        "eels/EELS_Spectrum_Image_16x16_0.2s_0.3eV_0offset.dm3",
        "eels/EELS_Spectrum_Image_16x16_1s_0.5eV_78offset.dm3",
        "eels/TiO2_Ti_L23_0.025eV_high-loss.dm4", "eels/TiO2_Ti_L23_0.025eV_low-loss.dm4",
        "formats/EELS_SI.dm4",
    ]
    spectra = [
        "eels/Cu2O_deconv.dm4", "eels/Cu_metal_deconv.dm4", "formats/EELS_STO.dm3",
        "formats/test-EDS_spectrum.dm3", "formats/test-EELS_spectrum.dm3",
    ]
    for name in images + spectra:
        (found,) = read("digitalmicrograph", f"data/{name}")
        yield entry(f"data/{name}", None, found, spectrum=0)


def micrometre(found):
    """The same lengths in the unit in which all our Velox signals are."""
    for axis in found["axes"]:
        if axis.get("units") == "nm":
            axis["units"] = "\u00b5m"
            axis["offset"], axis["scale"] = axis["offset"] / 1e3, axis["scale"] / 1e3
    return found


def velox():
    file = "data/formats/EDS-STO.emd"
    found = read("emd", file)
    for name, total in [
        ("", 190830), ("1", 34344), ("2", 8501), ("3", 70797), ("4", 77188),
    ]:
        (spectrum,) = [f for f in found if f["data"].sum() == total]
        yield entry(file, f"spectrum SuperXG2{name}" if name else None, spectrum)

    file, member = "data/formats/velox_EELS_EDS.zip", "example_velox_EELS_EDS.emd"
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(ROOT / file) as archive:
            path = archive.extract(member, folder)
        found = read("emd", path)
        summed = read("emd", path, select_type="spectrum_image")
        detectors = read("emd", path, select_type="spectrum_image", sum_EDS_detectors=False)
    images = [f for f in found if f["data"].ndim == 2]
    titles = {"Fe-EELS", "Co-EELS", "O-EELS", "Co", "DF-S", "O", "Fe", "a"}
    assert {f["metadata"]["General"]["title"] for f in images} == titles
    for found_image in images:
        title = found_image["metadata"]["General"]["title"]
        differs = None
        if title.endswith("-EELS"):
            why = "the image has no pixel size; ours follows from the field of view"
            differs = {k: why for k in ["axis 0", "unit 0", "axis 1", "unit 1"]}
        name = "image Ref DF-S" if title == "a" else f"image {title}"
        yield entry(file, name, found_image, differs, member=member)
    maps = [f for f in detectors if f["data"].shape[-1] == 2048]
    for i, found_map in enumerate(maps):
        name = f"EELS.{i + 1}" if i else "EELS"
        yield entry(file, name, micrometre(found_map), member=member)
    # The events of each detector, and its spectrum.
    totals = {"1": 1156, "2": 1674, "3": 2330, "4": 1921, "5": 1913, "6": 2099}
    for number, total in totals.items():
        (stream,) = [
            f for f in detectors if f["data"].shape[-1] == 4096 and f["data"].sum() == total
        ]
        yield entry(file, f"EDS UltraX{number}", stream, member=member)
        (spectrum,) = [f for f in found if f["data"].ndim == 1 and f["data"].sum() == total]
        yield entry(file, f"spectrum UltraX{number}", spectrum, member=member)
    (both,) = [f for f in summed if f["data"].shape[-1] == 4096]
    yield entry(file, "EDS", both, member=member)


def renishaw():
    for name in ["line", "sp"]:
        file = f"data/raman/wire/{name}.wdf"
        found = read("renishaw", file)[0]
        # The file has the shifts descending; RosettaSciIO turns them round.
        found["data"] = found["data"][..., ::-1]
        found["axes"][-1]["axis"] = found["axes"][-1]["axis"][::-1]
        yield entry(file, None, found)


def single():
    """One spectrum; a map of events and images of JEOL."""
    (spectrum,) = read("bruker", "data/formats/bruker_m6.spx")
    yield entry("data/formats/bruker_m6.spx", None, spectrum)
    file = "data/formats/jeol/View000_0000006.pts"
    (found,) = read("jeol", file)
    yield entry(file, None, found)
    for name in ["View000_0000000.img", "View000_0000001.map"]:
        (found,) = read("jeol", f"data/formats/jeol/{name}")
        yield entry(f"data/formats/jeol/{name}", None, found)


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    sources = [bruker, hspy, ripple, digitalmicrograph, velox, renishaw, single]
    entries = [e for source in sources for e in source()]
    lines = ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries)
    head = f'{{"peer": "RosettaSciIO", "version": "{rsciio.__version__}", "entries": [\n'
    (HERE / "rosettasciio.json").write_text(f"{head}{lines}\n]}}\n")


if __name__ == "__main__":
    main()

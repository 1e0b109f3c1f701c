"""Writes rosettasciio.json: what RosettaSciIO reads from the reference files.

KALPHA_REFERENCE names the folder of the reference data (default: shared beside the checkout).
"""

import hashlib
import importlib
import json
import logging
import os
import pathlib
import warnings

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


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    sources = [bruker, hspy, ripple]
    entries = [e for source in sources for e in source()]
    lines = ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries)
    head = f'{{"peer": "RosettaSciIO", "version": "{rsciio.__version__}", "entries": [\n'
    (HERE / "rosettasciio.json").write_text(f"{head}{lines}\n]}}\n")


if __name__ == "__main__":
    main()

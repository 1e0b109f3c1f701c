"""What NumPy and RosettaSciIO read from texts that larch does not: writes text_numpy.json and
msa_rosettasciio.json."""

import hashlib
import json
import logging
import os
from pathlib import Path

import numpy as np
import rsciio
from rsciio.msa import file_reader

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))
DATA = SHARED / "data"


def entry(path, axes, values, signal=None):
    """`axes` are pairs of points and unit, the spectrum's last."""
    values = np.ascontiguousarray(values, dtype="<f8")
    made = {"file": str(path.relative_to(SHARED))}
    if signal is not None:
        made["signal"] = signal
    made |= {
        "shape": list(values.shape),
        "dtype": "float64",
        "sum": float(values.sum()),
        "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "axes": [
            {"unit": unit, "first": float(x[0]), "last": float(x[-1]), "len": len(x)}
            for x, unit in axes
        ],
    }
    return made


def decimal_commas():
    for path in sorted((DATA / "xas/pyfitit_Mn").glob("*.dat")):
        lines = path.read_text().replace(",", ".").splitlines()[1:]
        x, y = np.loadtxt(lines, unpack=True)
        yield entry(path, [(x, "")], y)


def labspec():
    for path in sorted((DATA / "raman/labspec").glob("*.txt")):
        lines = [l for l in path.read_text("latin1").splitlines() if not l.startswith("#")]
        if lines[0].startswith("\t"):
            x = np.array(lines[0].split(), dtype=float)
            rows = np.loadtxt(lines[1:])
            yield entry(path, [(rows[:, 0], ""), (x, "cm-1")], rows[:, 1:])
        else:
            x, y = np.loadtxt(lines, unpack=True)
            yield entry(path, [(x, "cm-1")], y)


def specs():
    path = DATA / "xps/specsxy_example.xy"
    regions = path.read_text("latin1").split("# Region:")[1:]
    for region in regions:
        x, rate, scaling = np.loadtxt(region.splitlines()[1:], unpack=True)
        name = region.splitlines()[0].strip()
        yield entry(path, [(x, "eV")], rate, name)
        yield entry(path, [(x, "eV")], scaling, f"{name}/scaling")


def maestro():
    path = DATA / "xrf/Steel.spe"
    first, last, *counts = np.array(path.read_text().split("$DATA:")[1].split(), dtype=float)
    yield entry(path, [(np.arange(first, last + 1), "")], counts)


def msa():
    for path in sorted((DATA / "xrf/xrflab").glob("*.txt")) + sorted((DATA / "eels").glob("*.msa")):
        found = file_reader(str(path))[0]
        axis = found["axes"][0]
        x = axis.get("axis")
        if x is None:
            x = axis["offset"] + axis["scale"] * np.arange(axis["size"])
        yield entry(path, [(x, axis["units"])], found["data"])


def write(name, peer, version, entries):
    lines = ",\n".join(json.dumps(e) for e in entries)
    head = f'{{"peer": "{peer}", "version": "{version}", "entries": [\n'
    (HERE / name).write_text(head + lines + "\n]}\n")


logging.disable(logging.CRITICAL)
made = [e for read in (decimal_commas, labspec, specs, maestro) for e in read()]
write("text_numpy.json", "NumPy", np.__version__, made)
write("msa_rosettasciio.json", "RosettaSciIO", rsciio.__version__, msa())

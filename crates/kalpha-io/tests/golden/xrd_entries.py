"""What the scripts of the diffraction peers share: an entry, and where the files are."""

import hashlib
import json
import os
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))


def files(pattern):
    """Names of matching files, relative to the reference data."""
    return sorted(str(f.relative_to(ROOT)) for f in ROOT.glob(pattern))


def points(values, unit=None):
    """An axis by its ends."""
    values = np.asarray(values, dtype=float)
    out = {"first": float(values[0]), "last": float(values[-1]), "len": len(values)}
    return out if unit is None else {"unit": unit} | out


def entry(file, values, axes, signal=None, differs=None):
    """An entry; the values are stored little-endian in C order."""
    values = np.ascontiguousarray(values)
    values = values.astype(values.dtype.newbyteorder("<"))
    out = {"file": file}
    if signal:
        out["signal"] = signal
    out |= {
        "shape": list(values.shape),
        "dtype": str(values.dtype.newbyteorder("=")),
        "sum": float(np.sum(values, dtype=float)),
        "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "axes": axes,
    }
    if differs:
        out["differs"] = differs
    return out


def write(script, peer, version, entries):
    out = {"peer": peer, "version": version, "entries": list(entries)}
    pathlib.Path(script).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")

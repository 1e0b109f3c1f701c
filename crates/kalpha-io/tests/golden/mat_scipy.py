"""What SciPy reads from MATLAB files: writes mat_scipy.json."""

import hashlib
import json
import os
import pathlib

import numpy as np
import scipy
from scipy.io import loadmat

HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))


def entry(file, path, signal, axes=None):
    values = np.ascontiguousarray(loadmat(path)[signal])
    stored = values.astype(values.dtype.newbyteorder("<"))
    numbered = {"offset": 0.0, "scale": 1.0}
    return {
        "file": file,
        "signal": signal,
        "shape": list(values.shape),
        "dtype": str(values.dtype.newbyteorder("=")),
        "sum": float(values[np.isfinite(values)].sum(dtype=float)),
        "sha256": hashlib.sha256(stored.tobytes()).hexdigest(),
        "axes": axes or [numbered | {"len": n} for n in values.shape],
    }


def main():
    file = "data/mcr/als2004dataset.MAT"
    names = ["m1", "spure", "cpure", "MATRIX", "csel_matrix", "isp_matrix"]
    entries = [entry(file, ROOT / file, name) for name in names]
    for name in ["tiny", "tiny_deflated"]:
        file = f"tests/corpus/{name}.mat"
        path = HERE / f"../corpus/{name}.mat"
        energy = loadmat(path)["energy_eV"].ravel()
        axes = [
            {"offset": 0.0, "scale": 1.0, "len": 6},
            {"first": energy[0], "last": energy[-1], "len": 8},
        ]
        entries.append(entry(file, path, "counts", axes))
        entries += [entry(file, path, signal) for signal in ["cube", "whole"]]
    lines = ",\n".join(json.dumps(e) for e in entries)
    head = f'{{"peer": "SciPy", "version": "{scipy.__version__}", "entries": [\n'
    (HERE / "mat_scipy.json").write_text(f"{head}{lines}\n]}}\n")


if __name__ == "__main__":
    main()

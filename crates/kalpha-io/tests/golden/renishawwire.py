"""Writes renishawwire.json: what renishawWiRE reads from the reference files.

KALPHA_REFERENCE names the folder of the reference data (default: shared beside the checkout).
"""

import hashlib
import importlib.metadata
import json
import os
import pathlib

import numpy as np
from renishawWiRE import WDFReader

HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))


def main():
    lines = []
    for name in ["line", "sp"]:
        file = f"data/raman/wire/{name}.wdf"
        reader = WDFReader(str(ROOT / file))
        values = np.ascontiguousarray(reader.spectra, dtype="<f4")
        assert reader.spectra.dtype == np.float32
        shifts = np.asarray(reader.xdata, dtype=float)
        shift_axis = {"unit": "cm-1", "first": shifts[0], "last": shifts[-1], "len": len(shifts)}
        axes = []
        if values.ndim == 2:
            # The reader gives positions; the step is the distance of neighbours along the line.
            step = float(np.hypot(*(np.float32(reader.map_info[k]) for k in ["x_pad", "y_pad"])))
            axes.append({"unit": "um", "offset": 0.0, "scale": step})
        entry = {
            "file": file, "shape": list(values.shape), "dtype": "float32",
            "sum": float(values.sum(dtype=float)),
            "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
            "axes": axes + [shift_axis],
        }
        lines.append(json.dumps(entry))
        reader.close()
    version = importlib.metadata.version("renishawWiRE")
    head = f'{{"peer": "renishawWiRE", "version": "{version}", "entries": [\n'
    (HERE / "renishawwire.json").write_text(head + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()

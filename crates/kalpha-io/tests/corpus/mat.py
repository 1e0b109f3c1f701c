"""Writes tiny.mat and tiny_deflated.mat with SciPy: spectra, their axis, and what is no matrix."""

from pathlib import Path

import numpy as np
from scipy.io import savemat

HERE = Path(__file__).parent
found = {
    "counts": (np.arange(6 * 8).reshape(6, 8) % 11).astype("u2"),
    "energy_eV": 100 + 0.5 * np.arange(8.0) ** 2,
    "cube": np.arange(2 * 3 * 4, dtype="f4").reshape(2, 3, 4) - 5.5,
    "whole": np.arange(12.0).reshape(3, 4),
    "sample": "a foil",
    "wave": np.array([[1 + 2j, 3 - 1j]]),
    "settings": {"gain": 2.0},
}
savemat(HERE / "tiny.mat", found)
savemat(HERE / "tiny_deflated.mat", found, do_compression=True)

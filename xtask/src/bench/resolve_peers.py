"""Peers of `kalpha bench resolve`: told on stdin what to time.

usage: resolve_peers.py FOLDER      lines on stdin: a case; on stdout: seconds and a figure of merit
       resolve_peers.py --versions
"""
import contextlib
import importlib.metadata
import os
import pathlib
import sys
import time

import numpy as np
from scipy.optimize import nnls


def load(folder, name, columns):
    return np.fromfile(folder / f"{name}.f64").reshape(-1, columns)


def fit(folder, name, channels):
    references = load(folder, f"{name}_references", channels).T.copy()
    spectra = load(folder, f"{name}_spectra", channels)
    start = time.perf_counter()
    found = np.array([nnls(references, y)[0] for y in spectra])
    seconds = time.perf_counter() - start
    return seconds, np.linalg.norm(spectra - found @ references.T)


def resolve(folder):
    """Alternating non-negative least squares with pyMCR, so many iterations."""
    from pymcr.mcr import McrAR

    data = load(folder, "mcr_data", 96)
    begin = load(folder, "mcr_start", 4)
    iterations = 50
    mcr = McrAR(
        max_iter=iterations, c_regr="NNLS", st_regr="NNLS", tol_increase=1e9, tol_n_increase=10**6,
        tol_err_change=None, tol_n_above_min=10**6,
    )
    start = time.perf_counter()
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        mcr.fit(data, C=begin)
    seconds = time.perf_counter() - start
    left = data - mcr.C_opt_ @ mcr.ST_opt_
    return seconds / iterations, 100 * np.linalg.norm(left) / np.linalg.norm(data)


def main():
    folder = pathlib.Path(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        name = line.strip()
        if name == "lcf":
            seconds, merit = fit(folder, "lcf", 200)
        elif name == "stxm":
            seconds, merit = fit(folder, "stxm", 123)
        else:
            seconds, merit = resolve(folder)
        sys.stdout.write(f"{seconds} {merit}\n")
        sys.stdout.flush()


if sys.argv[1] == "--versions":
    packages = ("numpy", "scipy", "pyMCR")
    print(", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages))
else:
    main()

"""Peers of `kalpha bench align`: told on stdin what to time.

usage: align_peers.py CURVES.f64 SPECTRA.f64 CHANNELS    lines on stdin: a case; on stdout: seconds
                                                        per item and a figure of merit
       align_peers.py --versions
"""
import contextlib
import importlib.metadata
import os
import sys
import time

import numpy as np


def curves(path, n):
    values = np.fromfile(path)
    pairs = {512: values[:1024].reshape(2, 512), 1024: values[1024:].reshape(2, 1024)}
    return pairs[n]


def repeat(work, least=0.15):
    work()
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < least or n < 1:
        result = work()
        n += 1
    return (time.perf_counter() - start) / n, result


def main():
    from tslearn.metrics import dtw_path
    from cowarp import warp
    import exspy
    import hyperspy.api as hs

    hs.preferences.General.show_progressbar = False
    spectra = np.fromfile(sys.argv[2]).reshape(-1, int(sys.argv[3]))

    def zero_loss():
        signal = exspy.signals.EELSSpectrum(spectra.copy())
        axis = signal.axes_manager.signal_axes[0]
        axis.scale, axis.offset, axis.units = 0.1, -20.0, "eV"
        start = time.perf_counter()
        with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
            signal.align_zero_loss_peak(
                print_stats=False, subpixel=True, show_progressbar=False, signal_range=(-3.0, 3.0)
            )
        seconds = time.perf_counter() - start
        peak = signal.data[:, :].astype(float)
        x = np.arange(peak.shape[1])
        peak = np.where(np.isfinite(peak), peak, 0)
        centre = (peak * x).sum(axis=1) / peak.sum(axis=1)
        return seconds / len(spectra), centre.std()

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        name, _, size = line.strip().partition(" ")
        if name == "dtw":
            a, b = curves(sys.argv[1], int(size))
            seconds, (path, distance) = repeat(lambda: dtw_path(a, b))
            merit = distance
        elif name == "cow":
            a, b = curves(sys.argv[1], int(size))
            seconds, (warped, merit) = repeat(lambda: warp(a, b, num_intervals=10, slack=8))
        else:
            seconds, merit = zero_loss()
        sys.stdout.write(f"{seconds!r} {float(merit)!r}\n")
        sys.stdout.flush()


if sys.argv[1] == "--versions":
    names = ["tslearn", "cowarp", "exspy", "hyperspy", "numpy", "numba"]
    print(", ".join(f"{n} {importlib.metadata.version(n)}" for n in names))
else:
    main()

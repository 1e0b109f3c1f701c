"""Baselines by pybaselines and eXSpy: one order per line, one reply per line.

Order: METHOD PARAMETERS(JSON) ROWS. Reply: seconds for these rows, sum of the backgrounds.
"""

import json
import sys
import time
import warnings

import numpy as np
import pybaselines

warnings.filterwarnings("ignore")


def main():
    # Peers may print; only replies go to the caller.
    replies, sys.stdout = sys.stdout, sys.stderr
    path, rows, channels = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    spectra = np.fromfile(path).reshape(rows, channels)
    axis = 100.0 + np.arange(channels)
    fitter = pybaselines.Baseline(axis)
    exspy = None
    # What is compiled or imported at the first call is not timed.
    for name in ("asls", "airpls", "arpls"):
        getattr(fitter, name)(spectra[0])
    try:
        import exspy
    except ImportError:
        pass
    print("ready pybaselines", pybaselines.__version__, getattr(exspy, "__version__", "no exspy"), file=replies, flush=True)
    for line in sys.stdin:
        method, params, count = line.split(" ")
        params, count = json.loads(params), int(count)
        if method == "power_law":
            if exspy is None:
                print("nan nan", file=replies, flush=True)
                continue
            signal = exspy.signals.EELSSpectrum(spectra[:count].copy())
            signal.axes_manager[-1].offset = 100.0
            signal.axes_manager[-1].scale = 1.0
            start = time.perf_counter()
            left = signal.remove_background(
                signal_range=(params["first"], params["last"]),
                background_type="PowerLaw",
                fast=False,
                show_progressbar=False,
            )
            seconds = time.perf_counter() - start
            begin = int(params["first"] - 100)
            total = float((spectra[:count] - left.data)[:, begin:].sum())
        else:
            fit, total = getattr(fitter, method), 0.0
            start = time.perf_counter()
            for y in spectra[:count]:
                total += fit(y, **params)[0].sum()
            seconds = time.perf_counter() - start
        print(seconds, total, file=replies, flush=True)


main()

"""Peers of `kalpha bench fit`: told on stdin which method to time.

usage: fit_peers.py SPECTRA.f64 START.f64    lines on stdin: a method; on stdout: seconds per fit
                                            and the sum of squares of each spectrum fitted
       fit_peers.py --versions
"""
import importlib.metadata
import sys
import time

import numpy as np

LN2 = np.log(2.0)
ROOT = np.sqrt(LN2 / np.pi)


def model(x, p):
    a, c, w, f = p.reshape(-1, 4).T[:, :, None]
    u = (x - c) / w
    gauss = 2 / w * ROOT * np.exp(-4 * LN2 * u * u)
    lorentz = 2 / (np.pi * w * (1 + 4 * u * u))
    return (a * (f * lorentz + (1 - f) * gauss)).sum(0)


def jacobian(x, p):
    a, c, w, f = p.reshape(-1, 4).T[:, :, None]
    u = (x - c) / w
    gauss = 2 / w * ROOT * np.exp(-4 * LN2 * u * u)
    bell = 1 / (1 + 4 * u * u)
    lorentz = 2 / (np.pi * w) * bell
    unit = f * lorentz + (1 - f) * gauss
    center = a / w * u * (8 * LN2 * (1 - f) * gauss + 8 * f * lorentz * bell)
    columns = np.stack([unit, center, u * center - a * unit / w, a * (lorentz - gauss)], axis=1)
    return columns.reshape(-1, len(x)).T


def main():
    import lmfit
    from scipy.optimize import curve_fit, least_squares

    spectra = np.fromfile(sys.argv[1]).reshape(-1, 512)
    start = np.fromfile(sys.argv[2])
    x = np.arange(512.0)

    def scipy_analytic(y):
        found = least_squares(lambda p: model(x, p) - y, start, jac=lambda p: jacobian(x, p), method="lm")
        return 2 * found.cost

    def by_curve_fit(y):
        found, _ = curve_fit(lambda x, *p: model(x, np.array(p)), x, y, p0=start)
        return ((model(x, found) - y) ** 2).sum()

    composite = lmfit.models.PseudoVoigtModel(prefix="p0_")
    for k in range(1, 5):
        composite = composite + lmfit.models.PseudoVoigtModel(prefix=f"p{k}_")

    def by_lmfit(y):
        parameters = composite.make_params()
        for k in range(5):
            a, c, w, f = start[4 * k : 4 * k + 4]
            for name, value in [("amplitude", a), ("center", c), ("sigma", w / 2), ("fraction", f)]:
                parameters[f"p{k}_{name}"].set(value=value)
        found = composite.fit(y, parameters, x=x)
        return (found.residual**2).sum()

    methods = {"scipy analytic": (scipy_analytic, 32), "curve_fit": (by_curve_fit, 24), "lmfit": (by_lmfit, 3)}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        fit, n = methods[line.strip()]
        begin = time.process_time()
        squares = [fit(y) for y in spectra[:n]]
        seconds = (time.process_time() - begin) / n
        sys.stdout.write(" ".join(repr(float(v)) for v in [seconds, *squares]) + "\n")
        sys.stdout.flush()


if sys.argv[1] == "--versions":
    print(", ".join(f"{n} {importlib.metadata.version(n)}" for n in ["scipy", "lmfit", "numpy"]))
else:
    main()

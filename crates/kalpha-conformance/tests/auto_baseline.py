"""Makes auto_baseline.json: errors of pybaselines' methods on simulated spectra.

The spectra are made again, number for number, by auto_baseline.rs. Parameters of the methods are
those of the reference run (reference/baseline/baselines_ref.json beside the checkout):
    python auto_baseline.py ../../../../shared/reference/baseline/baselines_ref.json > auto_baseline.json
Made with pybaselines 1.2.1, numpy 2.4.6, scipy 1.17.1.
"""

import json
import math
import sys
import warnings

import numpy as np
from pybaselines import Baseline

warnings.filterwarnings("ignore")
SEEDS = range(9000, 9030)
MASK = (1 << 64) - 1


class Draw:
    """splitmix64."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    def between(self, a, b):
        return a + (b - a) * self.uniform()

    def normal(self):
        a, b = self.uniform(), self.uniform()
        return math.sqrt(-2 * math.log(1 - a)) * math.cos(2 * math.pi * b)


def background(draw, kind, n):
    t = [i / (n - 1) for i in range(n)]
    if kind == 0:
        c = [0.5 * draw.normal() for _ in range(4)]
        b = [1.5 + sum(c[k] * x ** (k + 1) for k in range(4)) for x in t]
    elif kind == 1:
        r = draw.between(1, 4)
        b = [0.3 + math.exp(-r * x) for x in t]
    elif kind == 2:
        a, c, w, s = draw.between(0.5, 1.5), draw.between(0.2, 0.8), draw.between(0.2, 0.5), draw.between(-0.2, 0.5)
        b = [0.3 + a * math.exp(-0.5 * ((x - c) / w) ** 2) + s * x for x in t]
    elif kind == 3:
        f, p = draw.between(0.4, 1.5), draw.uniform()
        b = [1 + 0.4 * math.sin(2 * math.pi * (f * x + p)) for x in t]
    elif kind == 4:
        c, s = draw.between(0.3, 0.7), draw.between(5, 15)
        b = [0.5 + 1 / (1 + math.exp(-s * (x - c))) for x in t]
    else:
        # Fluorescence under a Raman spectrum.
        b = [0.7 - 0.3 * x + math.exp(-(((x - 0.25) / 0.3) ** 2)) for x in t]
    low = min(b)
    b = [x - min(0, low) + 0.2 for x in b]
    level = 10 ** draw.between(2.3, 3.7)
    mean = sum(b) / n
    return [level * x / mean for x in b], level


def spectrum(seed):
    draw = Draw(seed)
    n = [512, 1024, 2048][seed // 6 % 3]
    true, level = background(draw, seed % 6, n)
    peaks = [0.0] * n
    for _ in range(4 + int(12 * draw.uniform())):
        c = draw.between(0, n)
        w = n / 1024 * 10 ** draw.between(0.6, 1.6)
        eta = draw.between(0, 0.6)
        a = level * 10 ** draw.between(-1.2, 0.3)
        for i in range(n):
            q = (i - c) / w
            peaks[i] += a * ((1 - eta) * math.exp(-4 * math.log(2) * q * q) + eta / (1 + 4 * q * q))
    counts = []
    for b, p in zip(true, peaks):
        counts.append(float(max(0.0, math.floor(b + p + math.sqrt(b + p) * draw.normal() + 0.5))))
    return np.array(true), np.array(counts)


def main():
    methods = json.load(open(sys.argv[1]))["methods"]
    out = []
    for seed in SEEDS:
        true, counts = spectrum(seed)
        fitter, errors = Baseline(np.linspace(100, 1800, len(counts))), {}
        for name, parameters in methods.items():
            try:
                z = getattr(fitter, name)(counts, **parameters)[0]
                error = float(np.sqrt(np.mean((z - true) ** 2)))
            except Exception:
                error = math.nan
            if math.isfinite(error):
                errors[name] = round(error, 3)
        out.append({"seed": seed, "sum": counts.sum(), "errors": errors})
    print("[\n" + ",\n".join(json.dumps(o) for o in out) + "\n]")


if __name__ == "__main__":
    main()

"""Makes pybaselines_expected.json: options that the reference run does not exercise.

Made with pybaselines 1.2.1, numpy 2.4.6, scipy 1.17.1:
    python pybaselines_expected.py > pybaselines_expected.json
"""

import json

import numpy as np
from pybaselines import Baseline

i = np.arange(300.0)
x = 100 + 2 * i + 0.003 * i**2
peak = lambda c, s: np.exp(-0.5 * ((i - c) / s) ** 2)
noise = np.random.default_rng(20).normal(0, 4, i.size)
y = 500 * np.exp(-i / 250) + 900 * peak(90, 4) + 300 * peak(200, 7) + 250 * peak(212, 4)
y = np.round(y + noise + 60 * np.sin(i / 60), 3)

cases = []
for order in (2, 4, 6, 8):
    for decreasing in (False, True):
        for smooth in (None, 2):
            cases.append(
                ("snip", dict(max_half_window=25, filter_order=order, decreasing=decreasing, smooth_half_window=smooth))
            )
cases += [
    ("snip", dict()),
    ("snip", dict(max_half_window=149)),
    ("rubberband", dict()),
    ("rubberband", dict(segments=4)),
    ("rubberband", dict(segments=2, lam=30.0)),
    ("rubberband", dict(smooth_half_window=4)),
    ("mor", dict()),
    ("tophat", dict()),
    ("rolling_ball", dict()),
    ("rolling_ball", dict(half_window=20, smooth_half_window=0)),
    ("std_distribution", dict()),
    ("std_distribution", dict(half_window=15, interp_half_window=2, fill_half_window=6, num_std=1.4, smooth_half_window=7)),
    ("asls", dict(lam=1e3, diff_order=1)),
    ("asls", dict(lam=1e7, diff_order=3, p=0.02)),
    ("iasls", dict(lam=1e4, diff_order=3)),
    ("arpls", dict(lam=1e3, diff_order=1)),
    ("arpls", dict(lam=1e7, diff_order=3)),
    ("airpls", dict(lam=1e4, normalize_weights=True)),
    ("psalsa", dict(lam=1e4, p=0.3, k=40.0)),
    ("drpls", dict(lam=1e4, eta=0.9)),
    ("iarpls", dict(lam=1e4)),
    # Before its iterations part for a last bit.
    ("aspls", dict(lam=1e4, max_iter=4)),
    ("aspls", dict(lam=1e4, max_iter=3, asymmetric_coef=2.0)),
    ("modpoly", dict(poly_order=4, use_original=True, mask_initial_peaks=True)),
    ("modpoly", dict()),
    ("imodpoly", dict(poly_order=4, mask_initial_peaks=False, num_std=0.5)),
    ("imodpoly", dict(poly_order=6, use_original=True)),
    ("pspline_asls", dict(num_knots=30, diff_order=1)),
    ("pspline_arpls", dict(num_knots=400, diff_order=3)),
]
out = []
for name, params in cases:
    z, _ = getattr(Baseline(x), name)(y, **params)
    out.append(dict(method=name, params=params, background=[float(f"{v:.13g}") for v in z[::13]]))
print('{"x": %s,\n"y": %s,\n"cases": [' % (json.dumps([float(f"{v:.10g}") for v in x]), json.dumps(y.tolist())))
print(",\n".join(json.dumps(case) for case in out))
print("]}")

"""Writes stack.npz: a stack with energies first, its axis, and an array in Fortran order.

NumPy 2.4.6 wrote the file that is committed. Values as in nexus.py, a quarter of them.
"""

import sys

import numpy as np

i, j, c = np.meshgrid(np.arange(2), np.arange(3), np.arange(20), indexing="ij")
values = ((i + 3 * j) * (c % 17) + c // 5).astype("f4") / 4
np.savez_compressed(
    sys.argv[1],
    stack=np.moveaxis(values, -1, 0),
    energy_eV=7100 + 0.5 * np.arange(20),
    fortran=np.asfortranarray(np.arange(6).reshape(2, 3)),
    names=np.array(["a", "b"]),
)

"""Writes filters.hspy: one signal in HyperSpy's layout per HDF5 filter, all of the same values.

h5py 3.16.0 and hdf5plugin 7.1.0 wrote the file that is committed. Value of row (i, j), channel c:
(i + 3 j) (c % 17) + c // 50, so that the tests can say it again.
"""

import sys

import h5py
import hdf5plugin
import numpy as np

i, j, c = np.meshgrid(np.arange(4), np.arange(3), np.arange(301), indexing="ij")
values = (i + 3 * j) * (c % 17) + c // 50
chunks = (2, 3, 301)
blosc = {
    f"blosc_{name}_{shuffle}": dict(hdf5plugin.Blosc(cname=name, clevel=5, shuffle=number))
    for name in ["blosclz", "lz4", "lz4hc", "zlib", "zstd"]
    for number, shuffle in enumerate(["plain", "bytes", "bits"])
}
filters = {
    "contiguous": {},
    "gzip_shuffle_fletcher": dict(compression="gzip", shuffle=True, fletcher32=True),
    "lzf": dict(compression="lzf"),
    "lzf_shuffle": dict(compression="lzf", shuffle=True),
    "lz4": dict(hdf5plugin.LZ4()),
    "zstd": dict(hdf5plugin.Zstd()),
    "bitshuffle_plain": dict(hdf5plugin.Bitshuffle(cname="none")),
    "bitshuffle_lz4": dict(hdf5plugin.Bitshuffle(cname="lz4")),
    "bitshuffle_zstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
    "bitshuffle_lz4_blocks": dict(hdf5plugin.Bitshuffle(nelems=64, cname="lz4")),
    **blosc,
}
types = ["u2", "i4", "f8", "u1"]

with h5py.File(sys.argv[1], "w", libver="latest") as file:
    file.attrs["file_format"] = "HyperSpy"
    file.attrs["file_format_version"] = "3.3"
    for number, (name, options) in enumerate(filters.items()):
        signal = file.create_group(f"Experiments/{name}")
        kind = types[number % 4]
        if options:
            options["chunks"] = chunks
        signal.create_dataset("data", data=values.astype(kind), **options)
        for axis, size in enumerate(values.shape):
            group = signal.create_group(f"axis-{axis}")
            group.attrs.update(
                {"name": "yxE"[axis], "offset": 0.0, "scale": 1.0, "size": size,
                 "units": "keV" if axis == 2 else "nm", "navigate": axis < 2}
            )
        signal.create_group("metadata")
        signal.create_group("original_metadata")

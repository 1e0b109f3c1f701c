"""Writes version2.zarr and version3.zarr, ZIP files with one array per codec and layout, and
tiny.zspy, HyperSpy's layout with lists, strings and an axis of points.

zarr 3.1.6 and numcodecs 0.16.6 wrote the files that are committed. Values as in filters.py; an
array called `sparse` has rows i >= 2 left out, which hold its fill value 7.
"""

import sys
import warnings

import numcodecs
import numpy as np
import zarr
from zarr import codecs

warnings.simplefilter("ignore")
i, j, c = np.meshgrid(np.arange(4), np.arange(3), np.arange(301), indexing="ij")
values = (i + 3 * j) * (c % 17) + c // 50
folder = sys.argv[1]


def fill(array, name):
    if name == "sparse":
        array[:2] = values[:2].astype(array.dtype)
    else:
        array[:] = values.astype(array.dtype)


with zarr.storage.ZipStore(f"{folder}/version2.zarr", mode="w") as store:
    root = zarr.create_group(store=store, zarr_format=2)
    for name, kind, options in [
        ("plain", "<u2", dict(compressors=None)),
        ("big_endian", ">i4", dict(compressors=None)),
        ("fortran", "<f4", dict(compressors=numcodecs.Zlib(5), order="F")),
        ("gzip", "|u1", dict(compressors=numcodecs.GZip(5))),
        ("zstd", "<i8", dict(compressors=numcodecs.Zstd(3))),
        ("lz4", "<f8", dict(compressors=numcodecs.LZ4())),
        ("shuffle", "<u4", dict(compressors=numcodecs.Zlib(5), filters=[numcodecs.Shuffle(4)])),
        ("blosc_lz4", "<u2", dict(compressors=numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE))),
        ("blosc_zstd", "<f4",
         dict(compressors=numcodecs.Blosc("zstd", 5, numcodecs.Blosc.BITSHUFFLE))),
        ("sparse", "<u2", dict(compressors=numcodecs.Zlib(5), fill_value=7)),
        ("nested", "<u2", dict(compressors=None,
                               chunk_key_encoding={"name": "v2", "separator": "/"})),
    ]:
        array = root.create_array(name, shape=values.shape, chunks=(2, 2, 301), dtype=kind,
                                  **options)
        fill(array, name)

with zarr.storage.ZipStore(f"{folder}/version3.zarr", mode="w") as store:
    root = zarr.create_group(store=store, zarr_format=3)
    for name, kind, options in [
        ("plain", "uint16", dict(compressors=None)),
        ("big_endian", "int32",
         dict(compressors=None, serializer=codecs.BytesCodec(endian="big"))),
        ("transposed", "float32",
         dict(filters=[codecs.TransposeCodec(order=(2, 0, 1))], compressors=codecs.GzipCodec())),
        ("zstd_checksum", "int16",
         dict(compressors=[codecs.ZstdCodec(), codecs.Crc32cCodec()])),
        ("blosc", "float64",
         dict(compressors=codecs.BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=8))),
        ("sharded", "uint16", dict(shards=(4, 4, 301), compressors=codecs.ZstdCodec())),
        ("sparse", "uint16", dict(compressors=None, fill_value=7)),
        ("bool_like", "uint8", dict(compressors=codecs.BloscCodec(cname="blosclz", typesize=1))),
        ("named", "uint16", dict(compressors=None, dimension_names=["y", "x", "Energy"])),
    ]:
        array = root.create_array(name, shape=values.shape, chunks=(2, 2, 301), dtype=kind,
                                  **options)
        fill(array, name)
    energy = root.create_array("Energy", shape=(301,), dtype="float64", chunks=(100,),
                               compressors=None)
    energy[:] = 0.5 + 0.01 * np.arange(301) ** 1.5
    energy.attrs["units"] = "keV"

with zarr.storage.ZipStore(f"{folder}/tiny.zspy", mode="w") as store:
    root = zarr.create_group(store=store, zarr_format=2,
                             attributes={"file_format": "ZSpy", "file_format_version": "3.3"})
    signal = root.create_group("Experiments/map")
    data = signal.create_array("data", shape=(2, 3, 40), chunks=(1, 2, 40), dtype="<u2",
                               compressors=numcodecs.Blosc("zstd", 1, numcodecs.Blosc.SHUFFLE))
    data[:] = values[:2, :, :40].astype("<u2")
    for axis, (name, size) in enumerate([("y", 2), ("x", 3), ("Energy", 40)]):
        attributes = {"name": name, "size": size, "navigate": axis < 2,
                      "units": "keV" if axis == 2 else "_None_"}
        if axis != 1:
            attributes |= {"offset": -0.1, "scale": 0.01}
        group = signal.create_group(f"axis-{axis}", attributes=attributes)
        if axis == 1:
            points = group.create_array("axis", shape=(3,), dtype="<f8", chunks=(3,))
            points[:] = [1.0, 2.0, 4.0]
    metadata = signal.create_group("metadata")
    metadata.create_group("General", attributes={"title": "a map"})
    metadata.create_group("Signal", attributes={"signal_type": "EDS_TEM"})
    sample = metadata.create_group("Sample", attributes={"_list_empty_notes": "_None_"})
    elements = sample.create_array("_list_elements", shape=(2,), chunks=(2,), dtype="<U2",
                                   compressors=None)
    elements[:] = ["Fe", "Pt"]
    mixed = sample.create_group("_list_2_mixed", attributes={"1": "two", "0": 1})
    signal.create_group("original_metadata")

"""Writes the tiny files of image formats: the layouts their readers describe, nothing else."""

import json
import pathlib
import struct

import h5py
import numpy as np

HERE = pathlib.Path(__file__).parent

# The cube of all tiny files: 2 x 3 pixels, 40 channels.
CUBE = [[0] * 40 for _ in range(6)]
CUBE[1][5], CUBE[3][0], CUBE[5][39] = 7, 1, 300
ENERGY_SLOWEST = [CUBE[pixel][channel] for channel in range(40) for pixel in range(6)]


class Dm:
    """Tags of DigitalMicrograph."""

    CODES = {"h": 2, "i": 3, "H": 4, "I": 5, "f": 6, "d": 7, "?": 8, "b": 9, "B": 10, "q": 11}

    def __init__(self, version, order):
        self.version, self.order = version, order

    def word(self, n):
        return struct.pack(">I" if self.version == 3 else ">Q", n)

    def tag(self, kind, name, body):
        name = name.encode()
        size = struct.pack(">Q", len(body)) if self.version == 4 else b""
        return struct.pack(">BH", kind, len(name)) + name + size + body

    def group(self, children):
        if isinstance(children, list):
            children = [("", child) for child in children]
        else:
            children = list(children.items())
        body = b"".join(self.any(name, child) for name, child in children)
        return b"\1\0" + self.word(len(children)) + body

    def described(self, words, values):
        return b"%%%%" + self.word(len(words)) + b"".join(map(self.word, words)) + values

    def any(self, name, value):
        if isinstance(value, (dict, list)):
            return self.tag(20, name, self.group(value))
        if isinstance(value, str):
            value = ("H", [u for u in struct.unpack(
                f"<{len(value.encode('utf-16-le')) // 2}H", value.encode("utf-16-le"))])
        if isinstance(value, int):
            value = ("i", value)
        if isinstance(value, float):
            value = ("d", value)
        code, content = value
        if code == "struct":
            words = [15, 0, len(content)] + [w for c, _ in content for w in (0, self.CODES[c])]
            values = b"".join(struct.pack(self.order + c, x) for c, x in content)
        elif isinstance(content, list):
            words = [20, self.CODES[code], len(content)]
            values = struct.pack(f"{self.order}{len(content)}{code}", *content)
        else:
            words = [self.CODES[code]]
            values = struct.pack(self.order + code, content)
        return self.tag(21, name, self.described(words, values))

    def file(self, root):
        body = self.group(root) + b"\0" * 8
        order = struct.pack(">I", 1 if self.order == "<" else 0)
        return struct.pack(">I", self.version) + self.word(len(body) - 8) + order + body


def dm_image(name, code, values, kind, sizes, calibrations, tags):
    return {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 0.25, "Units": "e-"},
                "Dimension": [
                    {"Origin": o, "Scale": s, "Units": u} for o, s, u in calibrations
                ],
            },
            "Data": (code, values),
            "DataType": kind,
            "Dimensions": [("I", n) for n in sizes],
            "PixelDepth": 4,
        },
        "ImageTags": tags,
        "Name": name,
    }


def dm(version, order):
    microscope = {"Voltage": 200000.0, "Illumination Mode": "STEM NANOPROBE"}
    thumbnail = dm_image("small", "i", [0] * 4, 23, [2, 2], [(0.0, 1.0, "")] * 2, {})
    eds = dm_image(
        "map", "H", ENERGY_SLOWEST, 10, [3, 2, 40],
        [(0.0, 2.0, "nm"), (0.0, 3.0, "nm"), (10.0, 0.01, "keV")],
        {
            "Meta Data": {"Format": "Spectrum image", "Signal": "X-ray"},
            "Microscope Info": microscope,
            "EDS": {
                "Live time": 1.5,
                "Detector Info": {"Elevation angle": 18.0, "Azimuthal angle": 45.0},
            },
            "Window": ("struct", [("h", -1), ("d", 0.5)]),
        },
    )
    eels = dm_image(
        "map", "f", [x - 0.5 for x in ENERGY_SLOWEST], 2, [3, 2, 40],
        [(0.0, 2.0, "nm"), (1.0, 3.0, "nm"), (-200.0, 0.5, "eV")],
        {
            "Meta Data": {"Format": "Spectrum image", "Signal": "EELS"},
            "Microscope Info": microscope,
            "EELS": {
                "Acquisition": {"Exposure (s)": 0.25},
                "Experimental Conditions": {
                    "Collection semi-angle (mrad)": 33.0,
                    "Convergence semi-angle (mrad)": 21.0,
                },
            },
        },
    )
    survey = dm_image(
        "survey", "h", [-3, -2, -1, 0, 1, 2], 1, [3, 2], [(0.0, 1.0, "nm")] * 2,
        {"Meta Data": {"Format": "Image"}},
    )
    root = {
        "ApplicationBounds": ("struct", [("q", 1), ("b", -1), ("?", True), ("B", 200)]),
        "ImageList": [thumbnail, eds, eels, survey],
        "Long": ("B", list(range(256)) * 2),
        "Thumbnails": [{"ImageIndex": 0}],
    }
    return Dm(version, order).file(root)


def velox():
    """Two detectors, two frames, an EELS map, two frames of an image, a spectrum."""
    with h5py.File(HERE / "tiny.emd", "w", libver=("earliest", "v108")) as file:
        text = h5py.string_dtype()

        def write(path, content):
            file.create_dataset(path, data=[json.dumps(content)], dtype=text)

        def numbers(group, name, values, **options):
            file.create_dataset(f"{group}/{name}", data=values, **options)

        def described(group, detector, number, frames=1):
            content = {
                "Optics": {
                    "AccelerationVoltage": "200000", "OperatingMode": "2",
                    "FullScanFieldOfView": {"x": "1.2e-08", "y": "8e-09"},
                },
                "Scan": {
                    "ScanSize": {"width": "6", "height": "4"},
                    "ScanArea": {"left": "0.5", "right": "1", "top": "0.5", "bottom": "1"},
                },
                "Detectors": {f"Detector-{i}": {
                    "DetectorName": f"X{i}", "Dispersion": "10", "OffsetEnergy": "-100",
                    "ElevationAngle": "0.25", "AzimuthAngle": str(i), "LiveTime": str(i),
                } for i in (1, 2)},
                "BinaryResult": {"Detector": detector, "DetectorIndex": str(number)},
            }
            text = json.dumps(content).encode()
            padded = np.frombuffer(text.ljust(1024, b"\0"), dtype="u1")
            numbers(group, "Metadata", np.tile(padded[:, None], frames), chunks=(1024, 1))

        write("Version", {"version": "13", "format": "Velox"})
        # The events of each pixel go round detectors and frames.
        streams = {(i, frame): [] for i in (1, 2) for frame in (0, 1)}
        for pixel in CUBE:
            events = [c for c, n in enumerate(pixel) for _ in range(n)]
            for turn, stream in enumerate(streams.values()):
                stream += events[turn::4] + [65535]
        for i in (1, 2):
            group = f"Data/SpectrumStream/{'ab'[i - 1] * 32}"
            events = np.array(streams[i, 0] + streams[i, 1], dtype="<u2")[:-1, None]
            numbers(group, "Data", events, chunks=(64, 1), compression="gzip")
            write(f"{group}/AcquisitionSettings", {"encoding": "uint16", "bincount": "40"})
            described(group, f"X{i}", i)
        group = f"Data/Spectrum/{'c' * 32}"
        numbers(group, "Data", np.array([sum(c) for c in zip(*CUBE)], dtype="<u4")[:, None])
        described(group, "X", 1)
        group = f"Data/EelsSpectrumImage/{'d' * 32}"
        losses = np.array(CUBE, dtype="<u2").reshape(2, 3, 40).transpose(1, 2, 0)
        numbers(group, "Data", losses, chunks=(3, 40, 1))
        described(group, "Camera", 7)
        line = json.dumps({"Data": {"dispersion": 0.5, "offset": 100, "exposureTime": 0.25}})
        line = np.frombuffer(line.encode().ljust(128, b"\0"), dtype="u1")
        numbers(group, "AcquisitionMetadata", np.tile(line[:, None], 2))
        group = f"Data/Image/{'e' * 32}"
        frames = np.arange(12, dtype="<f4").reshape(2, 2, 3).transpose(1, 2, 0) / 4
        numbers(group, "Data", frames, chunks=(2, 3, 1))
        described(group, "HAADF", 7, frames=2)


def wdf(positions, grid=None, planned=None, varied=None):
    """Spectra whose intensities are their number in the file, plus a quarter per point."""
    points, count = 5, len(positions)
    planned = planned or count
    header = bytearray(512)
    struct.pack_into("<4sIQ", header, 0, b"WDF1", 1, 512)
    struct.pack_into("<IQQIIII", header, 60, points, planned, count, 1, 1, points, 3)
    struct.pack_into("<24s4H", header, 96, b"WiRE", 4, 1, 0, 4308)
    struct.pack_into("<II", header, 128, 1, 3 if grid else 2)
    struct.pack_into("<IfI", header, 152, 6, 1e7 / 532, 0)
    struct.pack_into("<24s", header, 240, b"tiny")

    def block(name, content):
        return struct.pack("<4sIQ", name, 0, 16 + len(content)) + content

    values = [i + k / 4 for i in range(planned) for k in range(points)]
    blocks = block(b"DATA", struct.pack(f"<{len(values)}f", *values))
    blocks += block(b"YLST", struct.pack("<IIf", 4, 16, 12))
    shifts = [500.0, 400.0, 310.0, 200.0, 100.0]
    blocks += block(b"XLST", struct.pack("<II5f", 1, 1, *shifts))
    padded = positions + [(0.0, 0.0)] * (planned - count)
    lists = [
        (0x80000003 if grid else 3, 5, b"X", "d", [p[0] for p in padded]),
        (0x80000004 if grid else 4, 5, b"Y", "d", [p[1] for p in padded]),
        (11, 24, b"Time", "Q", [10**17 + 5 * 10**6 * i for i in range(planned)]),
    ]
    if varied:
        lists.append((0x80000009, 21, b"Temperature", "d", varied))
    origins = struct.pack("<I", len(lists))
    for kind, unit, label, code, content in lists:
        origins += struct.pack("<II16s", kind, unit, label)
        origins += struct.pack(f"<{planned}{code}", *content)
    blocks += block(b"ORGN", origins)
    if grid:
        flags, start, step, size = grid
        blocks += block(b"WMAP", struct.pack("<II3f3f3II", flags, 0, *start, *step, *size, 0))
    return bytes(header) + blocks


def wdf_files():
    grid = ((10.0, -4.0, 0.0), (0.5, 2.0, 1.0), (3, 2, 1))
    x, y = [10.0, 10.5, 11.0], [-4.0, -2.0]
    snake = [(a, y[0]) for a in x] + [(a, y[1]) for a in reversed(x)]
    columns = [(a, b) for a in x for b in y]
    (HERE / "tiny_snake.wdf").write_bytes(wdf(snake, (4, *grid)))
    (HERE / "tiny_columns.wdf").write_bytes(wdf(columns, (2, *grid)))
    (HERE / "tiny_stopped.wdf").write_bytes(wdf(snake[:4], (4, *grid), planned=6))
    series = wdf([(1.0, 2.0)] * 3, varied=[20.0, 40.0, 70.0])
    (HERE / "tiny_series.wdf").write_bytes(series)


def mda():
    """A map of spectra, stopped in its second line."""
    def text(t):
        n = len(t)
        return struct.pack(">i", n) + (
            struct.pack(">i", n) + t.encode() + b"\0" * (-n % 4) if n else b"")

    def scan(rank, points, taken, at, name, positioner, detectors, positions, values, below):
        head = struct.pack(">3i", rank, points, taken)
        tail = text(name) + text("today")
        tail += struct.pack(">3i", 1 if positioner else 0, len(detectors), 1)
        if positioner:
            tail += struct.pack(">i", 0)
            for t in [positioner[0], positioner[1], "LINEAR", positioner[2], "", "", ""]:
                tail += text(t)
        for i, (pv, description, unit) in enumerate(detectors):
            tail += struct.pack(">i", i) + text(pv) + text(description) + text(unit)
        tail += struct.pack(">i", 0) + text("trigger") + struct.pack(">f", 1)
        if positioner:
            tail += struct.pack(f">{points}d", *positions)
        for list_ in values:
            tail += struct.pack(f">{points}f", *list_)
        if rank == 1:
            return head + tail
        start = at + len(head) + 4 * points + len(tail)
        offsets, body = [], b""
        for make in below:
            if make is None:
                offsets.append(0)
                continue
            offsets.append(start + len(body))
            body += make(start + len(body))
        return head + struct.pack(f">{points}i", *offsets) + tail + body

    detectors = [("x:mca1", "mca", "counts"), ("x:ic", "ion chamber", "V")]

    def spectrum(line, point):
        counts = [100 * line + 10 * point + k for k in range(4)]
        return lambda at: scan(1, 4, 4, at, "mca", None, detectors, [],
                               [counts, [c + 0.5 for c in counts]], [])

    def line(j, taken):
        below = [spectrum(j, i) if i < taken else None for i in range(3)]
        return lambda at: scan(2, 3, taken, at, "line", ("x:m1", "stage x", "um"), [],
                               [-1.0, -0.5, 0.0], [], below)

    head = struct.pack(">f7i", 1.3, 12, 3, 2, 3, 4, 1, 0)
    body = scan(3, 2, 2, len(head), "outer", ("x:m2", "stage y", "mm"), [], [5.0, 7.0], [],
                [line(0, 3), line(1, 1)])
    (HERE / "tiny.mda").write_bytes(head + body)


def main():
    mda()
    wdf_files()
    velox()
    (HERE / "tiny.dm3").write_bytes(dm(3, ">"))
    (HERE / "tiny.dm4").write_bytes(dm(4, "<"))


if __name__ == "__main__":
    main()

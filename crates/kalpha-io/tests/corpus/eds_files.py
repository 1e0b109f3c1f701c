"""Writes tiny.pts, tiny.map, tiny.asw and tiny.spx from the layouts in src/jeol/ and src/spx.rs."""

import struct
from pathlib import Path

HERE = Path(__file__).parent
FORMAT = {1: "B", 2: "H", 3: "i", 4: "f", 5: "d", 6: "B", 8: "i", 9: "f", 10: "d", 11: "B", 14: "H"}


def tag(name, value=None, kind=None, below=()):
    label = name.encode() + b"\0"
    if value is None:
        data, kind = b"", 0
    elif kind is None:
        data, kind = value.encode() + b"\0", 12
    else:
        values = value if isinstance(value, (list, tuple, bytes)) else [value]
        data = struct.pack(f"<{len(values)}{FORMAT[kind]}", *values)
    head = b"\x01" + struct.pack("<I", len(label)) + label + struct.pack("<II", kind, len(data))
    return head + data + b"".join(below) + b"\xff"


def events():
    """Two frames of 4 lines and 6 columns; channel 20 * line + column, the first twice."""
    words = []
    for _ in range(2):
        for line in range(4):
            words.append(9 << 12 | line * 1024)
            for column in range(6):
                words.append(8 << 12 | column * 4096 // 6 + 1)
                words += [11 << 12 | 20 * line + column] * (1 + (line == 0))
                words.append(6 << 12 | 5)
    return struct.pack(f"<{len(words)}H", *words)


def pts():
    number = lambda name, value: tag(name, value, 5)
    tree = tag("PTTD Param", below=[tag("Params", below=[
        tag("PARAMPAGE0", below=[
            tag("ScanSize", 178.0, 4), tag("SEM", "JSM"), tag("DetT", "SDD"),
            tag("ElevAng", 29.0, 4), tag("DirAng", 90.0, 4), tag("MnKaRES", 130.0, 4)]),
        tag("PARAMPAGE1", below=[tag("Tpl", below=[tag("T4", below=[tag("DigZ", 96, 2)])])]),
    ])])
    tree += tag("PTTD Data", below=[tag("AnalyzableMap MeasData", below=[
        tag("MeasCond", below=[tag("AccKV", 15.0, 4), tag("Mag", 1000, 3)]),
        tag("Meas Cond", below=[tag("Pixels", "6x4"), tag("Tpl", "T4")]),
        tag("Doc", below=[
            tag("Title", "tiny"), number("CoefA", 0.01), number("CoefB", -0.02),
            number("LiveTime", 3.5), number("RealTime", 4.0)]),
    ])])
    head = bytearray(317)
    head[4:12] = b"PTTDFILE"
    body = bytes(head) + tree + b"\0"
    words = events()
    head[24:36] = struct.pack("<3I", len(tree), len(body), len(words))
    return bytes(head) + tree + b"\0" + words


def image():
    """24 columns, 16 lines: longer arrays alone are told by their place."""
    values = bytes((3 * line + column) % 251 for line in range(16) for column in range(24))
    instrument = tag("Instrument", below=[
        tag("ScanSize", 178.0, 4), tag("Name", "JSM"), tag("AccV", 15.0, 4), tag("Mag", 1000, 3)])
    about = [tag("Title", "C K"), tag("Size", [24, 16], 8)]
    preview = bytes(12) + instrument + tag("Image", below=about) + b"\0"
    whole = bytes(12) + instrument + tag(
        "Image", below=[tag("DataType", 1, 3), *about, tag("Bits", values, 6)]) + b"\0"
    head = bytearray(64)
    head[0:4] = struct.pack("<I", 52)
    head[4:27] = b"JED-2200:LibJxImageForm"
    head[36:48] = struct.pack("<3I", 64, len(preview), 64 + len(preview))
    return bytes(head) + preview + whole


def project():
    files = [("IMG1,", "tiny_lost.img"), ("MAP,C K,", "tiny.map"), ("MAP,PTTD,", "tiny.pts")]
    data = [
        tag(str(i), below=[tag("Keyword", word), tag("Filename", f".\\Sample\\00_View\\{name}")])
        for i, (word, name) in enumerate(files)
    ]
    view = tag("ViewInfo", below=[tag("0", below=[tag("ViewData", below=data)])])
    return (bytes(12) + tag("FileType", "Analysis Station") + tag("Version", 2, 3)
            + tag("SampleInfo", below=[tag("0", below=[view])]) + b"\0")


def spx():
    counts = ",".join(str(i * i % 17) for i in range(32))
    return f"""<?xml version="1.0" encoding="WINDOWS-1252" standalone="yes"?>
<TRTSpectrum>
<ClassInstance Type="TRTSpectrum" Name="tiny">
<ClassInstance Type="TRTSpectrumHardwareHeader"><RealTime>4000</RealTime><LifeTime>3500</LifeTime>
</ClassInstance>
<ClassInstance Type="TRTDetectorHeader"><Type>XFlash</Type></ClassInstance>
<ClassInstance Type="TRTESMAHeader"><PrimaryEnergy>15</PrimaryEnergy>
<ElevationAngle>35</ElevationAngle><AzimutAngle>45</AzimutAngle></ClassInstance>
<ClassInstance Type="TRTSpectrumHeader"><ChannelCount>32</ChannelCount>
<CalibAbs>-9.5E-1</CalibAbs><CalibLin>1E-2</CalibLin>
<SigmaAbs>4.5E-4</SigmaAbs><SigmaLin>4E-4</SigmaLin></ClassInstance>
<Channels>{counts}</Channels>
</ClassInstance>
</TRTSpectrum>
""".encode()


for name, made in [("pts", pts()), ("map", image()), ("asw", project()), ("spx", spx())]:
    (HERE / f"tiny.{name}").write_bytes(made)

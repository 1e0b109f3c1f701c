"""Writes tiny_phi.spe after the layout in src/phi.rs: two regions, of f4 and of f8."""

import struct
from pathlib import Path

HERE = Path(__file__).parent

regions = [("Su1s", 12, 1100.0, 0.0, "f4"), ("C1s", 5, 290.0, 286.0, "f8")]
lines = ["SOFH", "FileType: SPECTRUM", "FileDesc: tiny", "SoftwareVersion: MultiPak 9.0",
         "InstrumentModel: VersaProbe", "XraySource: Al 1486.6 mono"]
for i, (name, n, first, last, _) in enumerate(regions, 1):
    step = (last - first) / (n - 1)
    lines.append(f"SpectralRegDef: {i} {i} {name} 6 {n} {step:.4f} {first} {last} {first} {last} "
                 "0.160000 29.35 AREA")
    lines.append(f"SpectralRegDef2: {i} 1 0 0")
lines.append("EOFH")
head = struct.pack("<4I", 1, len(regions), 96 * len(regions), 16)
at, headers, data = 16 + 96 * len(regions), b"", b""
for i, (_, n, _, _, kind) in enumerate(regions, 1):
    values = [100.0 * i + 0.5 * j for j in range(n)]
    packed = struct.pack(f"<{n}{'f' if kind == 'f4' else 'd'}", *values)
    words = [0] * 24
    words[0], words[3], words[5] = i, i, n
    # The first states its unit.
    words[14] = int.from_bytes(b"c/s ", "little") if i == 1 else 0
    words[18] = int.from_bytes(kind.encode() + b"  ", "little")
    words[19], words[20] = len(packed), at
    # The first region gives its end, the second does not.
    words[23] = at + len(packed) if i == 1 else 0
    headers += struct.pack("<24I", *words)
    data += packed + struct.pack("<f", 0.16)
    at += len(packed) + 4
(HERE / "tiny_phi.spe").write_bytes("\r\n".join([*lines, ""]).encode() + head + headers + data)

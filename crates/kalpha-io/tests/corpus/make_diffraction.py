"""Writes the tiny diffraction and spectrum files of this folder, after the layouts that the readers
describe; the .spc files are written by spc-io."""

import io
import pathlib
import struct
import zipfile

import numpy as np
from spc_io import SPC
from spc_io.high_level import EvenAxis

HERE = pathlib.Path(__file__).parent


def write(name, content):
    content = content.encode() if isinstance(content, str) else content
    (HERE / name).write_bytes(content)


def archive(name, members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for member, text in members.items():
            z.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    write(name, out.getvalue())


def xrdml():
    scan = """<scan appendNumber="0" mode="Continuous" scanAxis="2Theta"><dataPoints>
<positions axis="2Theta" unit="deg"><startPosition>10</startPosition><endPosition>10.4</endPosition></positions>
<positions axis="Omega" unit="deg"><commonPosition>{omega}</commonPosition></positions>
<commonCountingTime unit="seconds">1.0</commonCountingTime>
<beamAttenuationFactors>1 1 10 1 1</beamAttenuationFactors>
<counts unit="counts">{counts}</counts></dataPoints></scan>
"""
    scans = scan.format(omega=5, counts="1 2 30 4 5") + scan.format(omega=5.5, counts="6 7 80 9 10")
    write("tiny.xrdml", f"""<?xml version="1.0" encoding="UTF-8"?>
<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/2.1" status="Completed">
<sample type="To be analyzed"><id>tiny</id><name></name></sample>
<xrdMeasurement measurementType="Area measurement" measurementStepAxis="Omega" sampleMode="Reflection">
<usedWavelength intended="K-Alpha 1"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1></usedWavelength>
{scans}</xrdMeasurement></xrdMeasurements>
""")


def rigaku():
    write("tiny.ras", """*RAS_DATA_START
*RAS_HEADER_START
*FILE_SAMPLE "tiny"
*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"
*MEAS_DATA_COUNT "3"
*MEAS_SCAN_AXIS_X "TwoThetaTheta"
*MEAS_SCAN_UNIT_X "deg"
*MEAS_SCAN_UNIT_Y "counts"
*RAS_HEADER_END
*RAS_INT_START
10.0000 5.0000 1.0000
10.0100 6.0000 8.5000
10.0200 7.0000 1.0000
*RAS_INT_END
*RAS_DATA_END
""")
    conditions = """<?xml version="1.0" encoding="utf-8"?>
<MeasurementConditions><GeneralInformation><SampleName>tiny</SampleName><SystemName>SmartLab</SystemName>
</GeneralInformation><HWConfigurations><XrayGenerator><WavelengthKalpha1>1.540593</WavelengthKalpha1>
</XrayGenerator></HWConfigurations><Axes><Axis Name="Omega" Unit="deg" Position="{omega}" State="Fixed" />
</Axes><ScanInformation><AxisName>TwoTheta</AxisName><PositionUnit>deg</PositionUnit>
<IntensityUnit>counts</IntensityUnit><DataCount>3</DataCount></ScanInformation></MeasurementConditions>
"""
    points = "10.0000\t{}\t1\r\n10.0400\t{}\t1\r\n10.0800\t{}\t1\r\n"
    members = {"root.xml": '<?xml version="1.0"?><Root Version="1.1.0.0" />'}
    for i, counts in enumerate([(1, 2, 3), (4, 5, 6)]):
        members[f"Data{i}/Profile{i}.txt"] = "\ufeff" + points.format(*counts)
        members[f"Data{i}/MesurementConditions{i}.xml"] = conditions.format(omega=1 + i)
    archive("tiny.rasx", members)


def bruker():
    data = "".join(
        f"<Datum>1,{factor},{10 + i / 50},{5 + i / 100},{count * factor}</Datum>"
        for i, (count, factor) in enumerate([(3, 1), (40, 8.3), (5, 1)])
    )
    archive("tiny.brml", {
        "experimentCollection.xml": '<?xml version="1.0"?><ExperimentCollection />',
        "Experiment0/DataContainer.xml": '<?xml version="1.0"?><DataContainer><CreatingVersion>6.5.0.0'
        "</CreatingVersion><InstrumentName>D8</InstrumentName></DataContainer>",
        "Experiment0/RawData0.xml": f"""<?xml version="1.0"?>
<RawData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><DataRoutes><DataRoute RouteFlag="Measured">
{data}<DataViews>
<RawDataView xsi:type="FixedRawDataView" Start="0" Length="1" LogicName="MeasuredTime" Unit="s" />
<RawDataView xsi:type="FixedRawDataView" Start="1" Length="1" LogicName="AbsorptionFactor" Unit="" />
<RawDataView xsi:type="VaryingRawDataView" Start="2" Length="2"><Varying LogicName="ScanAxes">
<FieldDefinitions FieldName="TwoTheta" AxisId="TwoTheta"><Restriction Unit="°" /></FieldDefinitions>
<FieldDefinitions FieldName="Theta" AxisId="Theta"><Restriction Unit="°" /></FieldDefinitions>
</Varying></RawDataView>
<RawDataView xsi:type="RecordedRawDataView" Start="4" Length="1"><Recording VisibleName="Scinti"
Category="Count" /></RawDataView></DataViews></DataRoute></DataRoutes></RawData>
"""})
    write("tiny.uxd", """; tiny
_FILEVERSION=2
_SAMPLE='tiny'
_WL1=1.540600
; (Data for Range number 1)
_DRIVE='COUPLED'
_STEPSIZE=0.015592
_START=9.970000
_2THETACOUNTS
9.970\t254
9.986\t262
10.00\t286
; (Data for Range number 2)
_DRIVE='THETA'
_STEPSIZE=0.500000
_START=1.000000
_COUNTS
1 2 3
4
""")
    for version in (1, 2, 3, 4):
        write(f"tiny_v{version}.raw", raw(version))


def raw(version):
    def at(n, fields, magic=b""):
        out = bytearray(n)
        out[: len(magic)] = magic
        for place, form, value in fields:
            struct.pack_into("<" + form, out, place, value)
        return bytes(out)

    counts = struct.pack("<3f", 1, 2, 3)
    if version == 1:
        head = [(0, "I", 3), (8, "f", 0.02), (20, "f", 5), (36, "6s", b"quartz"), (68, "f", 1.5406)]
        return b"RAW " + at(152, head + [(148, "I", 1)]) + counts + at(152, head) + counts
    if version == 2:
        file = at(256, [(4, "H", 1), (188, "2s", b"Cu"), (190, "f", 1.5406)], b"RAW2")
        return file + at(60, [(0, "H", 60), (2, "H", 3), (12, "f", 0.05), (16, "f", 20)]) + counts
    if version == 3:
        file = at(712, [(12, "I", 1), (326, "4s", b"LaB6"), (624, "d", 1.540598)], b"RAW1.01")
        head = [(0, "I", 304), (4, "I", 3), (8, "d", 12.5), (16, "d", 25), (176, "d", 0.01), (256, "I", 40)]
        return file + at(344, head) + counts
    file = at(61, [(12, "10s", b"04/10/2017")], b"RAW4.00")
    tag = at(48, [(0, "I", 10), (4, "I", 48), (12, "8s", b"SAMPLEID"), (36, "8s", b"corundum")])
    setup = at(120, [(0, "I", 30), (4, "I", 120), (80, "d", 1.540598), (116, "2s", b"Cu")])
    head = at(160, [(32, "14s", b"Locked Coupled"), (72, "d", 10), (80, "d", 0.02), (88, "I", 3),
                    (136, "I", 4), (140, "I", 64)])
    drive = at(64, [(0, "I", 50), (4, "I", 64), (12, "6s", b"2Theta"), (56, "d", 10)])
    return file + tag + setup + head + drive + counts


def columns():
    write("tiny.xye", "# wavelength 1.5406\n5.00 10.5 3.2\n5.02 11 3.3\n5.04 12 3.4\n5.06 9 3.0\n")
    write("tiny.fxye", "tiny\n# Calibrated wavelength = 0.4139\nBANK 1 3 3 CONS 500.0 2.0 0 0 FXYE\n"
          "500.0 10.0 3.1\n502.0 11.0 3.3\n504.0 12.0 3.4\n")
    write("tiny.gsas", "tiny\nBANK 1 3 1 CONS 500.0 2.0 0 0 STD\n     100 4   200     9.5\n"
          "BANK 2 2 1 CONS 500.0 2.0 0 0 ESD\n   100.0    10.0   121.0    11.0\n")


def cif():
    write("tiny.cif", """#\\#CIF_1.1
data_pattern
_pd_phase_name 'caesium chloride'
_diffrn_radiation_wavelength 1.5406
_pd_meas_2theta_range_min 20
_pd_meas_2theta_range_max 20.04
_pd_meas_2theta_range_inc 0.02
loop_
_pd_meas_counts_total
_pd_calc_intensity_total
10 10.5
11(3) 11.5
12 ?
data_structure
_publ_section_title
;
 A text block
;
_cell_length_a 4.126(1)
_cell_length_b 4.126(1)
_cell_length_c 4.126(1)
_space_group_name_Hall '-P 4 2 3'
loop_
_atom_site_label _atom_site_type_symbol _atom_site_fract_x _atom_site_fract_y _atom_site_fract_z
_atom_site_B_iso_or_equiv
Cs Cs1+ 0 0 0 1.0(1)
Cl Cl1- 1/2 .5 "0.5" .
""")


def jcamp():
    head = """##TITLE= tiny
##JCAMP-DX= 4.24
##DATA TYPE= RAMAN SPECTRUM
##XUNITS= 1/CM
##YUNITS= COUNTS
##XFACTOR= 0.5
##YFACTOR= 2
##FIRSTX= 100.0
##LASTX= {last}
##NPOINTS= {n}
##FIRSTY= {first}
"""
    write("tiny.jdx", head.format(last=103, n=7, first=20) + "##XYDATA= (X++(Y..Y))\n"
          "200A0K0%J0\n203D0J1k2T\n##END=\n")
    write("tiny_affn.dx", head.format(last=102, n=5, first=3) + "##XYDATA= (X++(Y..Y))\n"
          "200+1.5+2.5-3.5\n203 4E+01 5\n##END=\n")
    write("tiny_blocks.jdx", "##TITLE= link\n##JCAMP-DX= 5.01\n##DATA TYPE= LINK\n##BLOCKS= 2\n"
          + head.format(last=2, n=3, first=20) + "##XYPOINTS= (XY..XY)\n1,10; 2,20\n4 30\n##END=\n"
          "##TITLE= fid\n##JCAMP-DX= 5.01\n##NTUPLES= NMR FID\n##SYMBOL= X, R, I\n"
          "##FACTOR= 0.1, 1, 2\n##FIRST= 0, 1, 1\n##LAST= 0.2, 1, 1\n##VAR_DIM= 3, 3, 3\n"
          "##UNITS= SECONDS, ARBITRARY UNITS, ARBITRARY UNITS\n##PAGE= N=1\n"
          "##DATA TABLE= (X++(R..R)), XYDATA\n0 1 2 3\n##END NTUPLES=\n##END=\n##END=\n")


def without_log(spc):
    """spc-io points to a log that it does not write."""
    out = bytearray(spc.to_spc_raw().to_bytes())
    struct.pack_into("<I", out, 248, 0)
    return bytes(out)


def spc():
    y = np.array([1.5, -2.25, 1e6, 0, 7], dtype=np.float32)
    even = SPC(xarray=EvenAxis(100, 300, 5), xtype="XRAMANS", ytype="YCOUNT")
    even.add_subfile(yarray=y, w=0, z=0)
    write("tiny.spc", without_log(even))
    own = SPC()
    for i, n in enumerate([3, 4]):
        x = np.arange(n, dtype=np.float32) ** 2 + i
        own.add_subfile(xarray=x, yarray=y[:n], w=0, z=float(i))
    write("tiny_own_x.spc", without_log(own))
    rows = SPC(xarray=np.array([1, 2, 4, 8, 16], dtype=np.float32))
    for i in range(3):
        rows.add_subfile(yarray=y + i, w=0, z=float(i))
    write("tiny_rows.spc", without_log(rows))


for make in (xrdml, rigaku, bruker, columns, cif, jcamp, spc):
    make()

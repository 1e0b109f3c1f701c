//! Windows, identification and family fits on the reference maps.

#![allow(clippy::unwrap_used)]

use kalpha_core::Serial;
use kalpha_fit::eds::families::{MapEstimator, fit_families};
use kalpha_fit::eds::identify::{Identification, IdentifyOptions, Reason, Role, identify};
use kalpha_fit::eds::windows::{WindowOptions, line_windows, window_intensities};
use kalpha_process::strobe::find_strobe;
use kalpha_process::totals::{Totals, totals};

struct Map {
    energies: Vec<f64>,
    totals: Totals,
    rows: kalpha_core::Rows,
}

fn map(file: &str) -> Option<Map> {
    let path = kalpha_reference::path(&format!("data/eds/{file}"))?;
    let dataset = kalpha_io::open(path, &kalpha_io::OpenOptions::default()).unwrap();
    let energies = dataset.meta().signal.energies_kev().unwrap();
    let totals = totals(&dataset.rows, &Serial::default()).unwrap();
    Some(Map { energies, totals, rows: dataset.rows })
}

fn identified(map: &Map, beam_energy: f64, thin: bool, listed: &[&str]) -> Identification {
    let end = find_strobe(&map.energies, &map.totals.sum).end;
    let mut options = IdentifyOptions::new(beam_energy, thin);
    options.listed = listed.iter().map(|s| (*s).to_string()).collect();
    let single = map.totals.rows == 1;
    let max_pixel = if single { &[][..] } else { &map.totals.max_pixel[end..] };
    identify(&Serial::default(), &map.energies[end..], &map.totals.sum[end..], max_pixel, &options)
        .unwrap()
}

fn symbols(id: &Identification) -> Vec<&str> {
    id.elements.iter().map(|e| e.symbol.as_str()).collect()
}

fn reference() -> Option<serde_json::Value> {
    let path = kalpha_reference::path("reference/eds/ref_eds.json")?;
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn check_windows(
    map: &Map,
    lines: &[&str],
    mn_ka_ev: f64,
    line_width: (f64, f64),
    net: &serde_json::Value,
    gross: &serde_json::Value,
) {
    let lines: Vec<String> = lines.iter().map(|s| (*s).to_string()).collect();
    let options = WindowOptions { line_width, ..WindowOptions::default() };
    let windows = line_windows(&lines, mn_ka_ev, &options).unwrap();
    let got = window_intensities(&map.energies, &map.totals.sum, &windows);
    for (i, w) in got.iter().enumerate() {
        let close = |a: f64, b: &serde_json::Value| {
            let b = b.as_f64().unwrap();
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{}: {a} {b}", w.line);
        };
        close(w.net, &net[i]);
        if !gross.is_null() {
            close(w.gross, &gross[i]);
        }
    }
}

#[test]
fn window_intensities_equal_exspy() {
    let Some(json) = reference() else { return };
    let Some(fept) = map("EDS_TEM_FePt_nanoparticles.hspy") else { return };
    let r = &json["FePt_spectrum"];
    for (key, left) in [("bw_[2.0, 2.0]", 2.0), ("bw_[5.0, 2.0]", 5.0)] {
        check_windows(
            &fept,
            &["Fe_Ka", "Pt_La"],
            133.312296,
            (left, 2.0),
            &r[key]["intensities"],
            &r["intensities_no_bg"],
        );
    }
    let core_shell = map("FePt_core_shell.hspy").unwrap();
    let none = serde_json::Value::Null;
    let r = &json["FePt_core_shell"];
    check_windows(&core_shell, &["Fe_Ka", "Pt_La"], 130.0, (5.0, 7.0), &r["I_sum"], &none);
    let tm002 = map("EDS_SEM_TM002.hspy").unwrap();
    let r = &json["TM002"];
    check_windows(
        &tm002,
        &["Al_Ka", "C_Ka", "Cu_La", "Mn_La", "Zr_La"],
        130.0,
        (2.0, 2.0),
        &r["intensities_bg"],
        &r["intensities_nobg"],
    );
    for file in ["P45_12bit_packed_8bit.bcf", "bcf_v2_50x50px.bcf", "test_TEM.bcf"] {
        let r = &json[file];
        let lines: Vec<&str> =
            r["lines"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        let m = map(file).unwrap();
        check_windows(&m, &lines, 130.0, (2.0, 2.0), &r["I_sum"], &r["I_nobg_sum"]);
    }
}

#[test]
fn rock_has_eleven_elements_and_no_ghost() {
    let Some(map) = map("P45_12bit_packed_8bit.bcf") else { return };
    let vendor = ["Al", "Ca", "Cl", "Fe", "K", "Mg", "Na", "O", "P", "Si", "Ti"];
    let id = identified(&map, 20.0, false, &vendor);
    assert_eq!(
        symbols(&id),
        ["C", "O", "Na", "Mg", "Al", "Si", "P", "K", "Ca", "Ti", "Fe"],
        "{:?}",
        id.elements
    );
    let calibration = id.calibration.as_ref().unwrap();
    assert!((115.0..140.0).contains(&calibration.resolution_mn_ka.value), "{calibration:?}");
    assert!(calibration.offset.value.abs() < 0.01 && calibration.gain.value.abs() < 0.003);

    // 732 +- 105 in the reference analysis, which counts systematics in as this one does.
    let p = id.fit.estimate("P_K").unwrap();
    assert!((p.counts - 732.0).abs() < 2.0 * 105.0, "{p:?}");
    assert!(p.significance > 4.0 && p.significance < 9.0);
    let element = |s: &str| id.elements.iter().find(|e| e.symbol == s).unwrap();
    assert!(element("P").in_max_pixel);

    // How much of it is Si + Si is the matter of tests/pile_up.rs.
    let pileup = id.fit.fits[0].pileup.unwrap();
    assert!(pileup.scale / pileup.sigma > 10.0);

    let rejected = |f: &str| id.rejected.iter().find(|r| r.family == f);
    let s = rejected("S_K").unwrap();
    assert!(s.apparent > 4.0 && s.counts.unwrap() < 2.0 * s.stat.unwrap(), "{s:?}");
    assert_eq!(s.reason, Reason::PileUp { lines: ["O_Ka".into(), "Si_Ka".into()] });
    assert!(rejected("Cl_K").is_some(), "named by the file, so its absence is argued");
    assert_eq!(rejected("Ba_L").unwrap().reason, Reason::Overlap { with: "Ti_K".into() });
}

#[test]
fn metals_on_carbon() {
    let Some(map) = map("bcf_v2_50x50px.bcf") else { return };
    let id = identified(&map, 20.0, false, &["Ag", "Al", "C", "Cu", "O"]);
    for s in ["Ag", "Al", "C", "Cu", "O"] {
        assert!(symbols(&id).contains(&s), "{s} in {:?}", symbols(&id));
    }
    assert!(symbols(&id).len() <= 7, "{:?}", symbols(&id));
}

#[test]
fn thin_film_finds_weak_palladium_and_argues_copper() {
    let Some(map) = map("test_TEM.bcf") else { return };
    let id = identified(&map, 200.0, true, &["Cu", "O", "Pd", "Ti"]);
    for s in ["O", "Pd", "Ti"] {
        assert!(symbols(&id).contains(&s), "{s} in {:?}", symbols(&id));
    }
    let absent = id.rejected.iter().find(|r| r.family == "Cu_K").unwrap();
    assert!(absent.counts.unwrap() < 6.0 * absent.stat.unwrap(), "{absent:?}");
}

#[test]
fn nanoparticles_and_what_holds_them() {
    for file in ["EDS_TEM_FePt_nanoparticles.hspy", "FePt_core_shell.hspy"] {
        let Some(map) = map(file) else { return };
        let id = identified(&map, 200.0, true, &["Fe", "Pt"]);
        let role = |s: &str| id.elements.iter().find(|e| e.symbol == s).map(|e| e.role);
        assert_eq!(role("Fe"), Some(Role::Specimen), "{file}");
        assert_eq!(role("Pt"), Some(Role::Specimen));
        assert_eq!(role("Cu"), Some(Role::Grid));
        assert_eq!(role("C"), Some(Role::Support));
        let specimen: Vec<&str> = id
            .elements
            .iter()
            .filter(|e| e.role == Role::Specimen)
            .map(|e| e.symbol.as_str())
            .collect();
        assert_eq!(specimen, ["Fe", "Pt"], "{file}");
        // A peer turns the resolution of 133 eV into 1479 eV on the first of these.
        let resolution = id.calibration.unwrap().resolution_mn_ka;
        assert!((125.0..140.0).contains(&resolution.value), "{resolution:?}");
    }
}

#[test]
fn pixel_estimates_are_signed_finite_and_add_up() {
    let Some(map) = map("FePt_core_shell.hspy") else { return };
    let id = identified(&map, 200.0, true, &["Fe", "Pt"]);
    let fit = fit_families(
        &id.energies,
        &map.totals.sum,
        &id.families,
        id.fit.fits[0].background,
        &id.options,
    )
    .unwrap();
    let estimator = MapEstimator::new(&fit, map.energies.len()).unwrap();
    let n = estimator.families.len();
    let mut sum = vec![0.0; n];
    let mut negative = 0;
    let mut buffer = kalpha_core::CellBuffer::default();
    let rows = map.rows.meta().rows;
    let cell = map.rows.cell(0..rows, &mut buffer).unwrap();
    let (mut e, mut v) = (vec![0.0; rows * n], vec![0.0; rows * n]);
    cell.for_each_nonzero(|row, channel, x| {
        let r = row * n..(row + 1) * n;
        estimator.add(channel, x, &mut e[r.clone()], &mut v[r]);
    });
    for pixel in e.chunks_exact(n) {
        sum.iter_mut().zip(pixel).for_each(|(s, x)| *s += x);
        negative += pixel.iter().filter(|x| **x < 0.0).count();
    }
    assert!(e.iter().chain(&v).all(|x| x.is_finite()) && v.iter().all(|x| *x >= 0.0));
    assert!(negative > 0, "estimates must stay signed");
    for (i, name) in estimator.families.iter().enumerate() {
        let whole = fit.counts[fit.families.iter().position(|f| f == name).unwrap()];
        assert!((sum[i] - whole).abs() < 0.02 * whole, "{name}: {} {whole}", sum[i]);
    }
}

#[test]
fn steps_run_one_after_the_other() {
    use kalpha_core::{Artefact, InputMeta, Inputs, PortMeta, Step};
    use kalpha_fit::eds::families::{FamilyFitParams, FamilyFitStep, Lines};
    use kalpha_fit::eds::identify::{
        CalibrateParams, CalibrateStep, Calibration, IdentifyParams, IdentifyStep,
    };
    use kalpha_fit::eds::windows::{LineWindowsParams, LineWindowsStep, WindowTable};

    let Some(path) = kalpha_reference::path("data/eds/FePt_core_shell.hspy") else { return };
    let dataset = kalpha_io::open(path, &kalpha_io::OpenOptions::default()).unwrap();
    let passes = Serial::default();
    let mut inputs = Inputs::default();
    inputs.bind("spectra", Artefact::Rows(dataset.rows.clone()));
    inputs.bind("totals", Artefact::whole(totals(&dataset.rows, &passes).unwrap()));
    let mut meta = InputMeta { metadata: dataset.metadata.clone(), ..InputMeta::default() };
    meta.ports.insert("spectra".into(), PortMeta::Rows(dataset.rows.meta().clone()));

    let out =
        (CalibrateStep::plan(CalibrateParams {}, &meta).unwrap().run)(&inputs, &passes).unwrap();
    let calibration = out.artefacts["calibration"].get::<Calibration>().unwrap();
    assert!(calibration.fitted.is_some() && calibration.refused.is_none());
    inputs.bind("calibration", out.artefacts["calibration"].clone());

    let out = (IdentifyStep::plan(IdentifyParams::default(), &meta).unwrap().run)(&inputs, &passes)
        .unwrap();
    let id = out.artefacts["identification"].get::<Identification>().unwrap();
    assert!(symbols(id).contains(&"Pt"));
    let json = out.artefacts["identification"].to_json();
    let back: Identification = serde_json::from_value(json).unwrap();
    assert_eq!(symbols(&back), symbols(id));
    inputs.bind("identification", out.artefacts["identification"].clone());

    let out =
        (FamilyFitStep::plan(FamilyFitParams::default(), &meta).unwrap().run)(&inputs, &passes)
            .unwrap();
    let lines = out.artefacts["lines"].get::<Lines>().unwrap();
    assert!(lines.sum.estimate("Fe_K").unwrap().counts > 30_000.0);
    let Artefact::Rows(maps) = &out.artefacts["line_maps"] else { panic!("no maps") };
    assert_eq!(maps.meta().channels, lines.estimator.families.len());
    let mut buffer = kalpha_core::CellBuffer::default();
    let mut fe = 0.0;
    let k = lines.estimator.families.iter().position(|f| f == "Fe_K").unwrap();
    maps.cell(0..maps.meta().rows, &mut buffer).unwrap().for_each_nonzero(|_, channel, x| {
        if channel == k {
            fe += x
        }
    });
    assert!((fe / lines.sum.estimate("Fe_K").unwrap().counts - 1.0).abs() < 0.02, "{fe}");

    let params = LineWindowsParams {
        lines: vec!["Fe_Ka".into()],
        left: 5.0,
        right: 7.0,
        ..Default::default()
    };
    let out = (LineWindowsStep::plan(params, &meta).unwrap().run)(&inputs, &passes).unwrap();
    let table = out.artefacts["window_intensities"].get::<WindowTable>().unwrap();
    assert_eq!(table.intensities[0].net, 39979.0);
    let wrong = LineWindowsParams { lines: vec!["Fx_Ka".into()], ..Default::default() };
    assert!(LineWindowsStep::plan(wrong, &meta).is_err());
}

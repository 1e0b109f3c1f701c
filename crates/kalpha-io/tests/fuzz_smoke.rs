//! Byte mutation of real and tiny files: any bytes give a dataset or an error, in little memory.
//!
//! `KALPHA_FUZZ_SECONDS` (default 2) is spent on each extension, or on that which
//! `KALPHA_FUZZ_ONLY` names; `KALPHA_FUZZ_SEED` starts elsewhere.
//! A failure prints the number of its case; `KALPHA_FUZZ_CASE` alone reproduces it. The slowest
//! case is told in time by the clock: run it alone before looking for a reason in the reader.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kalpha_core::{CellBuffer, CellGrid, Dataset, RowsError};
use kalpha_io::{FormatId, Input, OpenOptions, read};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Bytes held now, and the most held since the last reset.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One format at a time, or the memory of another would be counted.
static TURN: Mutex<()> = Mutex::new(());

/// splitmix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

const SPECIAL: [u64; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        if bytes.is_empty() {
            return;
        }
        // Headers stand at the start more often than not.
        let reach = if random.below(2) == 0 { bytes.len().min(2048) } else { bytes.len() };
        let at = random.below(reach);
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 | 3 => {
                let value = SPECIAL[random.below(SPECIAL.len())];
                let width = 1 << random.below(4);
                let end = (at + width).min(bytes.len());
                bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
            }
            4 => bytes.truncate(random.below(bytes.len() + 1)),
            5 => {
                let end = (at + 1 + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            6 => {
                let from = random.below(bytes.len());
                let piece = bytes[from..bytes.len().min(from + 1 + random.below(64))].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let from = random.below(bytes.len());
                let n = (1 + random.below(64)).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + n, at);
            }
        }
    }
}

/// What every dataset promises.
fn check(dataset: &Dataset) {
    let meta = dataset.meta();
    assert_eq!(meta.grid().iter().product::<usize>(), meta.rows);
    assert_eq!(meta.signal.len(), meta.channels);
    let grid = CellGrid::new(meta.rows, meta.channels);
    let mut buffer = CellBuffer::default();
    // The first and last cells: reading all of a large one would be all the test does.
    let cells = grid.cells();
    for i in (0..cells.min(4)).chain(cells.saturating_sub(2)..cells) {
        let cell = match dataset.rows.cell(grid.rows(i), &mut buffer) {
            Ok(cell) => cell,
            // What stays in its file may turn out damaged when it is read.
            Err(RowsError::Read { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let mut last = None;
        cell.for_each_nonzero(|r, c, _| {
            assert!(r < cell.rows && c < meta.channels);
            assert!(last < Some((r, c)), "entries ascend");
            last = Some((r, c));
        });
    }
}

/// The format of a file that seeds a test: its extension, or what the extension belongs to.
fn format_of(path: &Path) -> FormatId {
    let name = path.file_name().unwrap().to_str().unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "dat" | "csv" | "txt" | "xmu" => "columns",
        "vms" | "npl" => "vamas",
        "mca" => "epics_mca",
        "specs" => "specs_xy",
        "dm3" | "dm4" => "dm",
        "pts" | "map" | "asw" => "jeol",
        "nxs" => "nexus",
        "h5" => "hdf5",
        "spe" if name == "tiny_phi.spe" => "phi",
        "raw" if name.starts_with("tiny_v") => "bruker_raw",
        "xye" | "prn" => "xy",
        "fxye" => "gsas",
        "jdx" | "dx" => "jcamp_dx",
        other => other,
    }
    .parse()
    .unwrap()
}

fn one(path: &Path, original: &[u8], case: u64) -> bool {
    let mut random = Random(case);
    let mut bytes = original.to_vec();
    mutate(&mut bytes, &mut random);
    let options = OpenOptions { format: Some(format_of(path)), ..OpenOptions::default() };
    // 64 MiB of scratch is always allowed; what the file can hold unpacked comes on top. A tiny
    // deflated file may honestly unpack by a factor of 1032, and four copies of that are held
    // while it is converted: up to 128 MiB of this is no sign of a lie that was believed.
    let unpacked = (4 * 1032 * bytes.len()).min(128 << 20);
    let allowed = (64 << 20) + unpacked.max(64 * bytes.len());
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = read(&Input::from_bytes(path, bytes), &options);
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    assert!(peak <= allowed, "{peak} bytes held, {allowed} allowed");
    if let Ok(dataset) = &result {
        check(dataset);
    }
    result.is_ok()
}

fn seeds(extension: &str) -> Vec<PathBuf> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let folders = [
        "eds",
        "eels",
        "raman/wire",
        "formats/jeol",
        "formats",
        "xas",
        "xps",
        "xrf",
        "xrd/readers",
        "xrd/cif",
    ];
    let real = folders.into_iter().filter_map(|f| kalpha_reference::path(&format!("data/{f}")));
    let mut found: Vec<PathBuf> = real
        .chain([corpus])
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()))
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn fuzz(extension: &str) {
    fuzz_for(extension, 2, one);
}

/// Seconds in which `one` is tried on mutations of every file of that extension.
fn fuzz_for(extension: &str, seconds: u64, one: fn(&Path, &[u8], u64) -> bool) {
    if std::env::var("KALPHA_FUZZ_ONLY").is_ok_and(|only| only != extension) {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let files: Vec<_> = seeds(extension).into_iter().map(|p| (fs::read(&p).unwrap(), p)).collect();
    assert!(!files.is_empty());
    if let Some(case) = std::env::var("KALPHA_FUZZ_CASE").ok().and_then(|text| text.parse().ok()) {
        for (bytes, path) in &files {
            let start = Instant::now();
            let read = one(path, bytes, case);
            eprintln!("{}: case {case}, read {read}, {:?}", path.display(), start.elapsed());
        }
        return;
    }
    let end = Instant::now() + Duration::from_secs(number("KALPHA_FUZZ_SECONDS", seconds));
    let mut case = number("KALPHA_FUZZ_SEED", 1) << 32;
    let (mut read, mut slowest) = (0, (Duration::ZERO, 0));
    // Every file takes as much time, so the tiny ones are tried most often.
    let share = Duration::from_millis(50);
    while Instant::now() < end {
        for (bytes, path) in &files {
            let stop = Instant::now() + share;
            while Instant::now() < stop {
                let start = Instant::now();
                let outcome = std::panic::catch_unwind(|| one(path, bytes, case));
                match outcome {
                    Ok(ok) => read += usize::from(ok),
                    Err(_) => panic!("case {case} of {} fails", path.display()),
                }
                slowest = slowest.max((start.elapsed(), case));
                case += 1;
            }
        }
    }
    let cases = case & 0xffff_ffff;
    eprintln!("{extension}: {cases} cases, {read} of them read, slowest {slowest:?}");
}

#[test]
fn bcf() {
    fuzz("bcf");
}

/// Maps and images of instruments.
#[test]
fn instruments() {
    for extension in ["dm3", "dm4", "emd", "mda", "pts", "map", "asw", "spx", "wdf"] {
        fuzz_for(extension, 1, one);
    }
}

#[test]
fn hspy() {
    fuzz("hspy");
}

#[test]
fn zarr() {
    fuzz("zarr");
}

#[test]
fn zspy() {
    fuzz("zspy");
}

#[test]
fn npz() {
    fuzz("npz");
}

#[test]
fn mat() {
    fuzz("mat");
}

#[test]
fn nexus() {
    fuzz("nxs");
}

#[test]
fn hdf5() {
    fuzz("h5");
}

#[test]
fn msa() {
    fuzz("msa");
}

#[test]
fn npy() {
    fuzz("npy");
}

#[test]
fn columns() {
    fuzz("dat");
    fuzz("xmu");
}

#[test]
fn surface_analysis() {
    fuzz("vms");
    fuzz("npl");
    fuzz("specs");
}

#[test]
fn multichannel() {
    fuzz("mca");
    fuzz("spe");
    fuzz("spec");
    fuzz("labspec");
}

#[test]
fn xdi() {
    fuzz("xdi");
}

#[test]
fn prj() {
    fuzz("prj");
}

#[test]
fn rpl() {
    fuzz("rpl");
}

/// Diffraction scans and the spectra that come in text.
#[test]
fn scans() {
    let text = ["xrdml", "ras", "uxd", "fxye", "gsas", "xye", "cif", "jdx", "dx"];
    for extension in text.into_iter().chain(["rasx", "brml", "spc"]) {
        fuzz_for(extension, 1, one);
    }
}

/// Bruker's `.raw` shares its extension with the data of Ripple.
#[test]
fn bruker_raw() {
    fuzz_for("raw", 1, |path, original, case| {
        let bruker = path.file_name().unwrap().to_str().unwrap().starts_with("tiny_v");
        bruker && one(path, original, case)
    });
}

/// Any text gives structures or an error, and every site has positions.
#[test]
fn structures() {
    fuzz_for("cif", 1, |path, original, case| {
        let mut bytes = original.to_vec();
        mutate(&mut bytes, &mut Random(case));
        let Ok(found) = kalpha_io::cif::structures(&Input::from_bytes(path, bytes)) else {
            return false;
        };
        for structure in &found {
            let operations = structure.operations.len();
            for site in structure.sites.iter().take(8) {
                let n = structure.positions(site).len();
                assert!((1..=operations).contains(&n), "{n} of {operations}");
            }
        }
        !found.is_empty()
    });
}

/// Every prefix of every tiny file.
#[test]
fn truncation() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let extensions = [
        "asw", "bcf", "dat", "dm3", "dm4", "emd", "h5", "hspy", "labspec", "map", "mat", "mca",
        "mda", "msa", "npy", "npz", "nxs", "prj", "pts", "rpl", "spe", "spec", "specs", "spx",
        "vms", "wdf", "xdi", "zarr", "zspy",
    ];
    let scans = ["xrdml", "ras", "rasx", "brml", "uxd", "fxye", "gsas", "xye", "cif", "jdx", "spc"];
    for extension in extensions.into_iter().chain(scans) {
        for path in seeds(extension) {
            let bytes = fs::read(&path).unwrap();
            let corpus = path.starts_with(env!("CARGO_MANIFEST_DIR"));
            let step = if corpus { 7 } else { bytes.len() / 16 + 1 };
            for end in (0..bytes.len()).step_by(step) {
                let options =
                    OpenOptions { format: Some(format_of(&path)), ..OpenOptions::default() };
                let input = Input::from_bytes(&path, bytes[..end].to_vec());
                if let Ok(dataset) = read(&input, &options) {
                    check(&dataset);
                }
            }
        }
    }
}

/// Mutations that once broke a promise.
#[test]
fn mutations_of_the_past() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    // Chunks that claim more than the file can unpack to, and nearly as much.
    // A list of events whose chunks are not there.
    // An array that a header claims.
    // Points that a header claims, all of them at one place.
    // An axis whose points are an array of no length.
    // A map whose steps are zero.
    // Many rows of one channel.
    // A text that claims to be long.
    for (name, case) in [
        ("tiny.emd", 4_294_968_507),
        ("tiny.emd", 957_777_881_821),
        ("tiny.hspy", 4_295_066_766),
        ("tiny.hspy", 4_296_048_705),
        ("tiny.hspy", 330_712_917_503),
        ("tiny.hspy", 390_842_824_081),
        ("tiny.spc", 4_294_972_665),
        ("tiny.zspy", 330_712_615_169),
        ("tiny_columns.wdf", 4_294_969_326),
    ] {
        let path = corpus.join(name);
        one(&path, &fs::read(&path).unwrap(), case);
    }
}

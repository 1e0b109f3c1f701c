//! Says what files hold: `cargo run --example list_signals -- FILE..`

use kalpha_io::{OpenOptions, detect, open, signals};

fn main() {
    let options = OpenOptions::default();
    for path in std::env::args().skip(1) {
        let found = detect(path.as_ref()).unwrap_or_default();
        print!("{path}: ");
        match open(&path, &options) {
            Ok(dataset) => {
                let names = signals(&path, &options).unwrap_or_default();
                let (meta, m) = (dataset.meta(), &dataset.metadata);
                let (axis, n) = (&meta.signal, meta.channels);
                println!(
                    "{found:?} {:?} x {n} {:?} {:?}\n  axis {} {:?} {} .. {}, linear {:?}\n  {:?} {:?} {:?}\n  signals {names:?}",
                    meta.grid(),
                    meta.dtype,
                    meta.noise,
                    axis.name,
                    axis.unit,
                    axis.at(0),
                    axis.at(n - 1),
                    axis.offset_scale(),
                    m.modality,
                    m.title,
                    m.listed_elements,
                );
                dataset.diagnostics.iter().for_each(|d| println!("  {:?} {d}", d.severity));
            }
            Err(error) => println!("{found:?} ERROR {error}"),
        }
    }
}

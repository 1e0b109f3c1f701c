//! `cargo xtask bench`: kalpha against named peers, in the same run.

mod align;
mod baseline;
mod fit;
mod io;
mod pca;
mod resolve;
mod simulate;

use clap::{Args, Subcommand};

/// Which benchmark to run.
#[derive(Subcommand)]
pub enum Bench {
    /// Exact PCA (Gram matrix, eigenpairs, scores) against numpy, scikit-learn and HyperSpy
    Pca(pca::PcaArgs),
    /// Baselines against pybaselines, the EELS power law against eXSpy, on one core
    Baseline(baseline::BaselineArgs),
    /// Reading the reference files against RosettaSciIO and larch
    Io(io::IoArgs),
    /// Time warping, optimised warping and zero-loss alignment against tslearn, cowarp and eXSpy
    Align(align::AlignArgs),
    /// Linear combination fits against scipy's nnls, curve resolution against pyMCR
    Resolve(resolve::ResolveArgs),
    /// Peak fits against scipy and lmfit, and a map of fits
    Fit(fit::FitArgs),
}

/// Options of every benchmark.
#[derive(Args, Clone)]
pub struct Common {
    /// Python with the peers installed; without it only kalpha is timed
    #[arg(long)]
    pub python: Option<std::path::PathBuf>,
    /// Interleaved runs of each method
    #[arg(long, default_value_t = 7)]
    pub runs: usize,
    /// Date in the name of the result; today by default
    #[arg(long)]
    pub date: Option<String>,
    /// Folder for the simulated counts
    #[arg(long, default_value_os_t = std::env::temp_dir().join("kalpha-bench"))]
    pub scratch: std::path::PathBuf,
}

/// Runs one benchmark.
pub fn run(bench: Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Pca(args) => pca::run(args),
        Bench::Baseline(args) => baseline::run(args),
        Bench::Io(args) => io::run(args),
        Bench::Align(args) => align::run(args),
        Bench::Resolve(args) => resolve::run(args),
        Bench::Fit(args) => fit::run(args),
    }
}

/// Days since 1970-01-01 as year-month-day (Hinnant 2021, civil_from_days).
fn civil(days: u64) -> String {
    let z = days + 719_468;
    let (era, day) = (z / 146_097, z % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", of_year - (153 * shifted + 2) / 5 + 1)
}

/// Today, in UTC.
pub fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    civil(since.map_or(0, |d| d.as_secs() / 86_400))
}

/// Median of some values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

/// Lower bound of the median that holds with 90 % confidence, from order statistics: the
/// largest value with at most a tenth of the sign-test probability below it. `None` below four
/// values.
pub fn lower_bound(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as i32;
    let (mut below, mut choose, mut found) = (0.0, 1.0, None);
    for r in 0..sorted.len() {
        // P(at most r of n values lie below the median).
        below += choose * 0.5f64.powi(n);
        if below > 0.1 {
            break;
        }
        found = Some(sorted[r]);
        choose *= f64::from(n - r as i32) / f64::from(r as i32 + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_bounds() {
        assert_eq!(civil(0), "1970-01-01");
        assert_eq!(civil(20_513), "2026-03-01");
        let values = [3.0, 1.0, 2.0, 7.0, 5.0, 6.0, 4.0];
        assert_eq!(median(&values), 4.0);
        // One of seven below the median by chance: 6.25 %; two: 22.7 %.
        assert_eq!(lower_bound(&values), Some(2.0));
        assert_eq!(lower_bound(&values[..3]), None);
    }
}

//! `cargo xtask study`: are the error bars true, does the guard find what it should.
//!
//! Full size takes minutes and is archived in `benches/results`; CI runs a twentieth. A study
//! that misses its bar fails.

mod memory;

use anyhow::bail;
use clap::Args;
use kalpha_core::{Ctx, Silent};
use kalpha_decompose::rare::{Params, study};
use kalpha_engine::Engine;
use kalpha_fit::{
    eds::families::coverage::{CASES, overlap_coverage},
    peaks::coverage::{DOSES, PARAMETERS, doublet_coverage},
};
use kalpha_num::statistics::{clopper_pearson_interval, normal_quantile};
use kalpha_quantify::cliff_lorimer::coverage;
use std::{fmt::Write as _, fs, path::PathBuf, sync::Arc};

/// Which study, and how large.
#[derive(Args)]
pub struct Study {
    /// overlap, peaks, composition, rare, memory, or all
    name: String,
    /// A twentieth of the draws, as in CI
    #[arg(long)]
    twentieth: bool,
    /// Seed of the draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the result page; printed only where absent
    #[arg(long)]
    out: Option<PathBuf>,
    /// One step of the memory study, in a process of its own
    #[arg(long, hide = true, requires = "file")]
    step: Option<String>,
    #[arg(long, hide = true)]
    file: Option<PathBuf>,
    #[arg(long, hide = true, default_value_t = 0)]
    side: usize,
}

/// The page of a study, and what it missed.
struct Outcome {
    page: String,
    missed: Vec<String>,
}

pub fn run(study: &Study) -> anyhow::Result<()> {
    if let (Some(step), Some(file)) = (&study.step, &study.file) {
        return memory::step(step, file, study.side);
    }
    type Run = fn(bool, u64) -> anyhow::Result<Outcome>;
    let all: [(&str, Run); 5] = [
        ("overlap", overlap),
        ("peaks", peaks),
        ("composition", composition),
        ("rare", rare),
        ("memory", memory::memory),
    ];
    let chosen: Vec<_> =
        all.into_iter().filter(|(name, _)| study.name == "all" || study.name == *name).collect();
    if chosen.is_empty() {
        let known: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        bail!("no study {:?} (hint: {}, or all)", study.name, known.join(", "));
    }
    let mut missed = Vec::new();
    for (name, run) in chosen {
        let outcome = run(study.twentieth, study.seed)?;
        println!("{}", outcome.page);
        if let Some(folder) = &study.out {
            fs::create_dir_all(folder)?;
            fs::write(folder.join(format!("study-{name}.md")), &outcome.page)?;
        }
        missed.extend(outcome.missed.into_iter().map(|m| format!("{name}: {m}")));
    }
    if !missed.is_empty() {
        bail!("missed: {}", missed.join("; "));
    }
    Ok(())
}

/// Ti and Ba in their overlap: 95 % intervals cover, widths are near the Cramer-Rao bound, and
/// p-values of an absent Ba are uniform.
fn overlap(twentieth: bool, seed: u64) -> anyhow::Result<Outcome> {
    let draws = if twentieth { 50 } else { 1000 };
    let mut page = format!(
        "# Study: Ti K and Ba L in their overlap\n\n{draws} draws per case, seed {seed}. Bars: \
         coverage 93.3 to 96.7 % of 1,000 draws (for fewer draws: 95 % inside the 99.9 % \
         binomial interval), median width at most 1.2 times the Cramer-Rao bound, p-values of \
         an absent Ba uniform (Kolmogorov-Smirnov, 1 % level).\n\n\
         | Ti, Ba counts | covered Ti | covered Ba | width Ti | width Ba | KS |\n\
         |---|---|---|---|---|---|\n"
    );
    let mut missed = Vec::new();
    for case in CASES {
        let found = overlap_coverage(case, draws, seed)?;
        let mut cells = Vec::new();
        for (name, covered, width) in [
            ("Ti", found.covered[0], found.width_over_bound[0]),
            ("Ba", found.covered[1], found.width_over_bound[1]),
        ] {
            let share = covered as f64 / draws as f64;
            let fine = match twentieth {
                false => (0.933..=0.967).contains(&share),
                true => {
                    let (low, high) = clopper_pearson_interval(covered as u64, draws as u64, 0.999);
                    (low..=high).contains(&0.95)
                }
            };
            if !fine || width > 1.2 {
                missed.push(format!("{name} at {case:?}: covered {share}, width {width:.2}"));
            }
            cells.push((share, width));
        }
        let distance = (case.1 == 0.0).then(|| uniform_distance(&found.p_values));
        // Asymptotic 1 % point of the Kolmogorov-Smirnov statistic.
        if distance.is_some_and(|d| d > 1.628 / (draws as f64).sqrt()) {
            missed.push(format!("p-values of an absent Ba at {} Ti counts", case.0));
        }
        writeln!(
            page,
            "| {}, {} | {:.1} % | {:.1} % | {:.2} | {:.2} | {} |",
            case.0,
            case.1,
            100.0 * cells[0].0,
            100.0 * cells[1].0,
            cells[0].1,
            cells[1].1,
            distance.map_or(String::new(), |d| format!("{d:.3}"))
        )?;
    }
    writeln!(page, "\n95 % intervals are {:.3} standard deviations.", normal_quantile(0.975))?;
    Ok(Outcome { page, missed })
}

/// Overlapping doublets fitted by maximum likelihood: 68 and 95 % intervals cover at three doses.
fn peaks(twentieth: bool, seed: u64) -> anyhow::Result<Outcome> {
    let draws = if twentieth { 100 } else { 2000 };
    let mut page = format!(
        "# Study: intervals of overlapping peaks\n\n{draws} Poisson spectra per dose, seed {seed}: two \
         Gaussians of one width, one width apart, areas 1 to 0.6, on a constant. Bars: the level \
         lies in the 99.9 % binomial interval of the share that is covered, at most 1 % of the \
         draws without a standard deviation.\n\n\
         | counts of the stronger | parameter | without sigma | covered at 68 % | covered at 95 % |\n\
         |---|---|---|---|---|\n"
    );
    let mut missed = Vec::new();
    for dose in DOSES {
        let found = doublet_coverage(dose, draws, seed)?;
        for (k, name) in PARAMETERS.iter().enumerate() {
            let given = found.given[k];
            let mut shares = Vec::new();
            for (covered, level) in [(found.covered_68[k], 0.68), (found.covered_95[k], 0.95)] {
                let (low, high) = clopper_pearson_interval(covered as u64, given as u64, 0.999);
                let share = covered as f64 / given as f64;
                if !(low..=high).contains(&level) {
                    missed.push(format!("{name} at {dose} counts: {share:.3} at {level}"));
                }
                shares.push(100.0 * share);
            }
            let without = (draws - given) as f64 / draws as f64;
            if without > 0.01 {
                missed.push(format!("{name} at {dose} counts: {without:.3} without sigma"));
            }
            writeln!(
                page,
                "| {dose} | {name} | {:.2} % | {:.1} % | {:.1} % |",
                100.0 * without,
                shares[0],
                shares[1]
            )?;
        }
    }
    Ok(Outcome { page, missed })
}

/// At.% of a thin film: statistical intervals under the true model, whole budgets under drawn
/// nuisances.
fn composition(twentieth: bool, seed: u64) -> anyhow::Result<Outcome> {
    let draws = if twentieth { 50 } else { 1000 };
    let mut page = format!(
        "# Study: coverage of compositions\n\n{draws} draws, seed {seed}. Fe-Pt with Cr at its \
         detection limit and no Ni. Bars for 1,000 draws: statistical intervals cover 93.3 to \
         96.7 %, median width at most 1.2 times the Cramer-Rao bound; whole budgets cover 92 to \
         98 %. Fewer draws: the bar lies inside the 99.9 % binomial interval.\n\n\
         | part | element | true at.% | mean | covered | width over bound |\n\
         |---|---|---|---|---|---|\n"
    );
    let mut missed = Vec::new();
    for (part, found, low, high) in [
        ("statistical", coverage::statistical(draws, seed)?, 0.933, 0.967),
        ("whole budget", coverage::total(draws, seed)?, 0.92, 0.98),
    ] {
        for element in found {
            let share = element.covered as f64 / draws as f64;
            let (least, most) =
                clopper_pearson_interval(element.covered as u64, draws as u64, 0.999);
            let fine = match twentieth {
                false => (low..=high).contains(&share),
                true => least <= high && most >= low,
            };
            let width = element.width_over_bound;
            if !fine || width.is_some_and(|w| w > 1.2) {
                missed.push(format!("{part} {}: {share} covered", element.symbol));
            }
            writeln!(
                page,
                "| {part} | {} | {:.3} | {:.3} | {:.1} % | {} |",
                element.symbol,
                element.truth,
                element.mean,
                100.0 * share,
                width.map_or(String::new(), |w| format!("{w:.2}"))
            )?;
        }
    }
    Ok(Outcome { page, missed })
}

/// Two planted pixels per map: the guard against an oracle that knows the true mean.
fn rare(twentieth: bool, seed: u64) -> anyhow::Result<Outcome> {
    let engine = Engine::new(0, Ctx::new(seed, Arc::new(Silent)))?;
    let params = Params { bootstrap_rows: 4096, bootstrap_maps: 1, ..Params::default() };
    let mut page = format!(
        "# Study: the rare-phase guard against an oracle\n\nMaps of 64x64 pixels and 512 \
         channels, two planted pixels each, seed {seed}. Bars: at least 0.95 of the pixels that \
         an oracle scan with the true mean finds on the same draws; at most 8 % of maps with a \
         false alarm. A twentieth of the draws allows for their own noise: 0.91 and 12 %.\n\n\
         | counts per pixel | planted | nominal power | draws | oracle | guard | relative | named | false-alarm maps (oracle) |\n\
         |---|---|---|---|---|---|---|---|---|\n"
    );
    let (power, alarms) = if twentieth { (0.91, 0.12) } else { (0.95, 0.08) };
    let (mut oracle, mut guard, mut missed) = (0, 0, Vec::new());
    let (mut false_maps, mut maps) = (0, 0);
    for setting in study::settings(if twentieth { 0.05 } else { 1.0 }) {
        // The bright half costs ten times more.
        if twentieth && setting.counts_per_pixel > 100.0 {
            continue;
        }
        let found = study::run(&engine, setting, &params)?;
        writeln!(
            page,
            "| {} | {:?} | {} | {} | {} | {} | {:.3} | {} | {} ({}) |",
            setting.counts_per_pixel,
            setting.plant,
            setting.oracle_power,
            setting.draws,
            found.oracle_found,
            found.guard_found,
            found.relative_power(),
            found.named,
            found.false_alarm_maps,
            found.oracle_false_alarm_maps
        )?;
        oracle += found.oracle_found;
        guard += found.guard_found;
        false_maps += found.false_alarm_maps;
        maps += setting.draws;
        if !twentieth && setting.oracle_power > 0.0 && found.relative_power() < power {
            missed.push(format!("relative power {:.3} at {setting:?}", found.relative_power()));
        }
    }
    if (guard as f64) < power * oracle as f64 {
        missed.push(format!("{guard} of the oracle's {oracle} pixels"));
    }
    if false_maps as f64 > alarms * maps as f64 {
        missed.push(format!("{false_maps} of {maps} maps have a false alarm"));
    }
    Ok(Outcome { page, missed })
}

/// Kolmogorov-Smirnov distance of p-values from uniform.
fn uniform_distance(p: &[f64]) -> f64 {
    let mut sorted = p.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    sorted
        .iter()
        .enumerate()
        .map(|(i, &p)| (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs()))
        .fold(0.0, f64::max)
}

//! Where a fit starts, and how far it may go.

use super::{
    FindOptions, PeakError, PeakModel, Seen, data::Data, expression::Sweep, find::find_peaks,
    shape::Role,
};

/// Start and bounds of one fit.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// All parameters.
    pub(super) full: Vec<f64>,
    /// Bounds of the free ones.
    pub(super) lower: Vec<f64>,
    /// Bounds of the free ones.
    pub(super) upper: Vec<f64>,
    /// True where an amplitude is still to be solved for.
    pub(super) amplitudes: bool,
}

impl Start {
    /// Fills what the model leaves open: centers at the strongest peaks not yet taken, widths from
    /// half heights, positions within the axis, widths above a tenth of a channel.
    pub(super) fn new(model: &PeakModel, data: &Data<'_>) -> Result<Self, PeakError> {
        let layout = &model.layout;
        let (first, last) = match data.x {
            [first, .., last] => (*first, *last),
            _ => {
                return Err(PeakError::Few { points: data.x.len(), parameters: layout.free.len() });
            }
        };
        if data.points < layout.free.len() {
            return Err(PeakError::Few { points: data.points, parameters: layout.free.len() });
        }
        let channel = data.x.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
        let mut full = layout.start.clone();
        for k in 0..full.len() {
            let given = layout.tied[k].is_none() && layout.roles[k] == Role::Position;
            if given && full[k].is_finite() && !(first..=last).contains(&full[k]) {
                let parameter = layout.names[k].clone();
                return Err(PeakError::Outside { parameter, value: full[k], first, last });
            }
        }
        let bound = |k: usize| match layout.roles[k] {
            Role::Position => (layout.lower[k].max(first), layout.upper[k].min(last)),
            Role::Width => {
                (layout.lower[k].max(0.1 * channel), layout.upper[k].min(10.0 * (last - first)))
            }
            _ => (layout.lower[k], layout.upper[k]),
        };
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for &k in &layout.free {
            let (low, high) = bound(k);
            if low > high {
                let parameter = layout.names[k].clone();
                let value = if layout.lower[k] > last { layout.lower[k] } else { layout.upper[k] };
                return Err(PeakError::Outside { parameter, value, first, last });
            }
            lower.push(low);
            upper.push(high);
        }
        let amplitudes =
            layout.free.iter().zip(&layout.linear).any(|(k, linear)| *linear && full[*k].is_nan());
        fill(model, data, &mut full)?;
        for ((&k, low), high) in layout.free.iter().zip(&lower).zip(&upper) {
            full[k] = full[k].max(*low).min(*high);
        }
        let free: Vec<f64> = layout.free.iter().map(|k| full[*k]).collect();
        layout.expand(&free, &mut full, &mut Sweep::default());
        for (k, expression) in &layout.ties {
            let (parameter, value) = (layout.names[*k].clone(), full[*k]);
            if !value.is_finite() {
                let expression = expression.text.clone();
                return Err(PeakError::NotANumber { parameter, expression, value });
            }
            let (low, high) = (layout.lower[*k], layout.upper[*k]);
            if value < low || value > high {
                let what =
                    format!("`{}` gives {value}, not between {low} and {high}", expression.text);
                return Err(PeakError::Contradiction { parameter, what });
            }
        }
        Ok(Self { full, lower, upper, amplitudes })
    }
}

fn fill(model: &PeakModel, data: &Data<'_>, full: &mut [f64]) -> Result<(), PeakError> {
    let layout = &model.layout;
    // Places without a value and without a tie.
    let open = |c: usize, full: &[f64], role: Role| {
        let first = layout.first[c];
        (first..first + model.components()[c].parameters.len())
            .find(|k| layout.roles[*k] == role && layout.tied[*k].is_none() && full[*k].is_nan())
    };
    let peaks: Vec<usize> = (0..model.components().len())
        .filter(|c| {
            layout.roles[layout.first[*c]..]
                .iter()
                .take(model.components()[*c].parameters.len())
                .any(|r| *r == Role::Position)
        })
        .collect();
    let lowest = data.y.iter().copied().fold(f64::INFINITY, f64::min);
    if peaks.iter().any(|c| open(*c, full, Role::Position).is_some()) {
        let options = FindOptions { significance: 3.0, ..FindOptions::default() };
        let mut found = find_peaks(data.x, &data.y, &data.sigma(), &options)?;
        // What is given takes the peak next to it away.
        for &c in &peaks {
            let first = layout.first[c];
            let n = model.components()[c].parameters.len();
            let given = (first..first + n)
                .find(|k| layout.roles[*k] == Role::Position && full[*k].is_finite());
            if let Some(k) = given {
                found.retain(|f| (f.center - full[k]).abs() > 0.5 * f.fwhm);
            }
        }
        for &c in &peaks {
            let Some(k) = open(c, full, Role::Position) else { continue };
            let allowed =
                |f: &super::FoundPeak| f.center >= layout.lower[k] && f.center <= layout.upper[k];
            let Some(best) = found.iter().position(allowed) else {
                let component = model.components()[c].name.clone();
                return Err(PeakError::NoPeak { component });
            };
            let peak = found.remove(best);
            full[k] = peak.center;
            let seen = Seen { center: peak.center, height: peak.height, fwhm: peak.fwhm };
            set(model, c, seen, full);
        }
    }
    for &c in &peaks {
        let first = layout.first[c];
        let n = model.components()[c].parameters.len();
        let position = (first..first + n).find(|k| layout.roles[*k] == Role::Position);
        let center = position.map_or(f64::NAN, |k| full[k]);
        // A tied partner is placed by its tie.
        let center = if center.is_nan() { data.x[data.x.len() / 2] } else { center };
        set(model, c, look(data, center, lowest), full);
    }
    for c in 0..model.components().len() {
        if !peaks.contains(&c) {
            let seen = Seen { center: 0.0, height: lowest, fwhm: 1.0 };
            set(model, c, seen, full);
        }
    }
    // Variables without a start.
    for value in full.iter_mut().filter(|v| v.is_nan()) {
        *value = 0.0;
    }
    Ok(())
}

/// Fills the open parameters of a component.
fn set(model: &PeakModel, c: usize, seen: Seen, full: &mut [f64]) {
    let first = model.layout.first[c];
    for (k, value) in model.components()[c].shape.start(seen).into_iter().enumerate() {
        if full[first + k].is_nan() {
            full[first + k] = value;
        }
    }
}

/// Height over the lowest point and width at half of it, as seen from `center`.
fn look(data: &Data<'_>, center: f64, lowest: f64) -> Seen {
    let (x, y) = (data.x, &data.y);
    let n = x.len();
    let at = x.partition_point(|v| *v < center).min(n - 1);
    let height = y[at] - lowest;
    let half = lowest + 0.5 * height;
    let left = (0..at).rev().find(|i| y[*i] < half).unwrap_or(0);
    let right = (at..n).find(|i| y[*i] < half).unwrap_or(n - 1);
    let channel = (x[n - 1] - x[0]) / (n - 1) as f64;
    // The nearer side: the other may run into a neighbour.
    let side = (x[at] - x[left]).min(x[right] - x[at]).max(channel);
    Seen { center, height: height.max(0.0), fwhm: (2.0 * side).min(0.3 * (x[n - 1] - x[0])) }
}

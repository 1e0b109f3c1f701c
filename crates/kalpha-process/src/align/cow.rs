//! Correlation-optimised warping (COW).
//!
//! The reference is cut into segments; the curve's own nodes move by up to `slack` channels more
//! or less per segment, and each piece is stretched linearly onto its segment. Dynamic
//! programming finds the nodes that are best in sum:
//!
//! - [`Criterion::LeastSquares`]: the least `sum (t - w)² + stiffness length (change / length)²`
//!   of the standardised curves t, w. For curves of equal spread this is the highest
//!   correlation over the whole curve; noise between the lines, whose share of the sum is small,
//!   does not pull at the nodes.
//! - [`Criterion::Correlation`]: the highest sum of Pearson's coefficients of the segments, as in
//!   the original. Every segment counts alike, so segments of noise are warped as hard as lines.
//!
//! All sums over a piece follow from dot products of the curve with vectors that depend on
//! segment and length alone; no piece is interpolated while searching.
//!
//! Source: Nielsen, Carstensen and Smedsgaard (1998), J. Chromatogr. A 805, 17,
//! doi:10.1016/S0021-9673(98)00021-1. Complexity O(segments² slack² length). Tested against
//! cowarp 0.2.2 (correlation) and exhaustive search.

pub mod step;

use crate::instructions::{for_each_instruction_set, inline_dot};

/// What the nodes are chosen by.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Squared differences of the standardised curves.
    #[default]
    LeastSquares,
    /// Sum of the correlations of the segments.
    Correlation,
}

/// Vectors for one segment and one length of a piece.
#[derive(Clone, Debug)]
struct Piece {
    /// Channels from node to node.
    length: usize,
    /// `sum w = sums . s`.
    sums: Vec<f64>,
    /// `sum w² = squares . s² + products . (s s⁺)`.
    squares: Vec<f64>,
    products: Vec<f64>,
    /// `sum t w = cross . s`.
    cross: Vec<f64>,
}

#[derive(Clone, Debug)]
struct Segment {
    first: usize,
    points: usize,
    /// Sum and sum of squares of the reference here, standardised.
    sum: f64,
    square: f64,
    pieces: Vec<Piece>,
}

/// A reference, cut into segments.
#[derive(Clone, Debug)]
pub struct Cow {
    criterion: Criterion,
    stiffness: f64,
    slack: usize,
    nodes: Vec<usize>,
    segments: Vec<Segment>,
}

/// Working memory, and the nodes last found.
#[derive(Clone, Debug, Default)]
pub struct CowScratch {
    s: Vec<f64>,
    squares: Vec<f64>,
    products: Vec<f64>,
    /// Best sum up to each possible node, and the node before it.
    best: Vec<(f64, usize)>,
    spans: Vec<(usize, usize, usize)>,
    nodes: Vec<usize>,
}

impl CowScratch {
    /// Channel of the curve at each node of the reference.
    pub fn nodes(&self) -> &[usize] {
        &self.nodes
    }
}

/// A curve or a reference cannot be warped.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CowError {
    /// Segments are too short.
    #[error(
        "{points} points in {segments} segments leave {length} channels each, slack {slack} needs \
         more than {slack} + 1 (hint: fewer segments or less slack)"
    )]
    Short {
        /// Points of the reference.
        points: usize,
        /// Segments asked for.
        segments: usize,
        /// Shortest segment.
        length: usize,
        /// Slack asked for.
        slack: usize,
    },
    /// The reference has no shape.
    #[error("the reference is constant (hint: choose another reference or window)")]
    Constant,
}

/// Standardises into `out`; false for a constant.
fn standardise(y: &[f64], out: &mut Vec<f64>) -> bool {
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let spread = (y.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
    out.clear();
    if spread.is_nan() || spread <= 1e-14 * mean.abs() {
        return false;
    }
    out.extend(y.iter().map(|v| (v - mean) / spread));
    true
}

impl Cow {
    /// Cuts `reference` into `segments` pieces of equal length.
    ///
    /// # Errors
    /// When a piece would be no longer than `slack + 1`, or the reference is constant.
    pub fn new(
        reference: &[f64],
        segments: usize,
        slack: usize,
        criterion: Criterion,
        stiffness: f64,
    ) -> Result<Self, CowError> {
        let n = reference.len();
        let shortest = n.saturating_sub(1).checked_div(segments).unwrap_or(0);
        if shortest < slack + 2 {
            return Err(CowError::Short { points: n, segments, length: shortest, slack });
        }
        let mut t = Vec::new();
        if !standardise(reference, &mut t) {
            return Err(CowError::Constant);
        }
        let nodes: Vec<usize> = (0..=segments)
            .map(|k| (k as f64 * (n - 1) as f64 / segments as f64).round() as usize)
            .collect();
        let segments = (0..segments)
            .map(|k| {
                let (first, length) = (nodes[k], nodes[k + 1] - nodes[k]);
                // The last segment owns the last point.
                let points = length + usize::from(k + 1 == segments);
                let here = &t[first..first + points];
                Segment {
                    first,
                    points,
                    sum: here.iter().sum(),
                    square: here.iter().map(|v| v * v).sum(),
                    pieces: (length - slack..=length + slack)
                        .map(|piece| Piece::new(here, length, piece))
                        .collect(),
                }
            })
            .collect();
        Ok(Self { criterion, stiffness, slack, nodes, segments })
    }

    /// Channels of the reference at which segments meet.
    pub fn nodes(&self) -> &[usize] {
        &self.nodes
    }

    /// Finds the nodes of `y`, which must be finite and as long as the reference, and leaves
    /// them in `scratch`; false for a constant curve.
    pub fn search(&self, y: &[f64], scratch: &mut CowScratch) -> bool {
        if !standardise(y, &mut scratch.s) {
            return false;
        }
        search(self, scratch);
        true
    }

    /// `y` on the channels of the reference. `conserve_area` multiplies by the local stretch, as
    /// befits counts per channel; otherwise heights are kept.
    pub fn warp(&self, y: &[f64], nodes: &[usize], conserve_area: bool, out: &mut [f64]) {
        for (k, segment) in self.segments.iter().enumerate() {
            let length = self.nodes[k + 1] - self.nodes[k];
            let stretch = (nodes[k + 1] - nodes[k]) as f64 / length as f64;
            let factor = if conserve_area { stretch } else { 1.0 };
            for q in 0..segment.points {
                let position = nodes[k] as f64 + q as f64 * stretch;
                let i = (position as usize).min(y.len() - 2);
                let f = position - i as f64;
                out[segment.first + q] = factor * (y[i] + f * (y[i + 1] - y[i]));
            }
        }
    }
}

impl Piece {
    fn new(reference: &[f64], segment: usize, length: usize) -> Self {
        let mut piece = Self {
            length,
            sums: vec![0.0; length + 1],
            squares: vec![0.0; length + 1],
            products: vec![0.0; length + 1],
            cross: vec![0.0; length + 1],
        };
        for (q, &t) in reference.iter().enumerate() {
            let position = q as f64 * length as f64 / segment as f64;
            let i = (position as usize).min(length - 1);
            let f = position - i as f64;
            for (at, weight) in [(i, 1.0 - f), (i + 1, f)] {
                piece.sums[at] += weight;
                piece.squares[at] += weight * weight;
                piece.cross[at] += weight * t;
            }
            piece.products[i] += 2.0 * f * (1.0 - f);
        }
        piece
    }
}

#[inline(always)]
fn plain_search(cow: &Cow, scratch: &mut CowScratch) {
    let CowScratch { s, squares, products, best, spans, nodes } = scratch;
    let n = s.len();
    squares.clear();
    squares.extend(s.iter().map(|v| v * v));
    products.clear();
    products.extend(s.windows(2).map(|w| w[0] * w[1]));
    products.push(0.0);
    let (count, slack) = (cow.segments.len(), cow.slack);
    // Where node k may lie: it has to be reached from both ends.
    spans.clear();
    let mut total = 0;
    for (k, &node) in cow.nodes.iter().enumerate() {
        let reach = slack * k.min(count - k);
        let (low, high) = (node.saturating_sub(reach), (node + reach).min(n - 1));
        spans.push((low, high, total));
        total += high - low + 1;
    }
    best.clear();
    best.resize(total, (f64::NEG_INFINITY, usize::MAX));
    best[0] = (0.0, 0);
    for (k, segment) in cow.segments.iter().enumerate() {
        let (low, high, at) = spans[k];
        let (next_low, next_high, next_at) = spans[k + 1];
        let points = segment.points as f64;
        for from in low..=high {
            let so_far = best[at + from - low].0;
            if so_far == f64::NEG_INFINITY {
                continue;
            }
            for piece in &segment.pieces {
                let to = from + piece.length;
                if to < next_low || to > next_high {
                    continue;
                }
                let here = from..=to;
                let square = inline_dot(&piece.squares, &squares[here.clone()])
                    + inline_dot(&piece.products, &products[here.clone()]);
                let cross = inline_dot(&piece.cross, &s[here.clone()]);
                let gain = match cow.criterion {
                    Criterion::LeastSquares => {
                        let length = (cow.nodes[k + 1] - cow.nodes[k]) as f64;
                        let change = piece.length as f64 - length;
                        2.0 * cross
                            - square
                            - segment.square
                            - cow.stiffness * change * change / length
                    }
                    Criterion::Correlation => {
                        let sum = inline_dot(&piece.sums, &s[here]);
                        let own = square - sum * sum / points;
                        let reference = segment.square - segment.sum * segment.sum / points;
                        let spread = (own.max(0.0) * reference.max(0.0)).sqrt();
                        match spread > 1e-12 * points {
                            true => (cross - sum * segment.sum / points) / spread,
                            false => 0.0,
                        }
                    }
                };
                let place = &mut best[next_at + to - next_low];
                if so_far + gain > place.0 {
                    *place = (so_far + gain, from);
                }
            }
        }
    }
    nodes.clear();
    let mut node = n - 1;
    nodes.push(node);
    for k in (1..=count).rev() {
        let (low, _, at) = spans[k];
        node = best[at + node - low].1;
        nodes.push(node);
    }
    nodes.reverse();
}

for_each_instruction_set! {
    fn search(cow: &Cow, scratch: &mut CowScratch) = plain_search
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peaks(n: usize, at: &[f64]) -> Vec<f64> {
        (0..n)
            .map(|i| at.iter().map(|c| (-0.5 * ((i as f64 - c) / 3.0).powi(2)).exp()).sum())
            .collect()
    }

    #[test]
    fn the_reference_is_left_alone() {
        let t = peaks(101, &[20.0, 50.0, 83.0]);
        for criterion in [Criterion::LeastSquares, Criterion::Correlation] {
            let cow = Cow::new(&t, 5, 4, criterion, 2.0).unwrap();
            let (mut scratch, mut out) = (CowScratch::default(), vec![0.0; 101]);
            assert!(cow.search(&t, &mut scratch));
            cow.warp(&t, scratch.nodes(), false, &mut out);
            for i in 0..101 {
                assert!((out[i] - t[i]).abs() < 1e-12, "{criterion:?} {i}");
            }
        }
    }

    /// All combinations of nodes, each piece interpolated for itself.
    #[test]
    fn finds_the_best_of_all_combinations() {
        let (t, s) = (peaks(40, &[11.0, 28.0]), peaks(40, &[12.5, 26.2]));
        let z = |y: &[f64]| {
            let mut out = Vec::new();
            standardise(y, &mut out);
            out
        };
        let (tz, sz) = (z(&t), z(&s));
        let cow = Cow::new(&t, 3, 3, Criterion::LeastSquares, 0.5).unwrap();
        let value = |nodes: &[usize]| {
            let mut w = vec![0.0; 40];
            cow.warp(&sz, nodes, false, &mut w);
            let stretch: f64 = (0..3)
                .map(|k| {
                    let length = (cow.nodes[k + 1] - cow.nodes[k]) as f64;
                    0.5 * ((nodes[k + 1] - nodes[k]) as f64 - length).powi(2) / length
                })
                .sum();
            tz.iter().zip(&w).map(|(a, b)| (a - b).powi(2)).sum::<f64>() + stretch
        };
        let mut scratch = CowScratch::default();
        assert!(cow.search(&s, &mut scratch));
        let mut least = f64::INFINITY;
        for a in 10..=16usize {
            for b in a + 10..=a + 16 {
                if (10..=16).contains(&(39 - b)) {
                    least = least.min(value(&[0, a, b, 39]));
                }
            }
        }
        let found = value(scratch.nodes());
        assert!((found - least).abs() < 1e-9, "{found} {least} {:?}", scratch.nodes());
    }

    #[test]
    fn area_is_conserved_on_request() {
        let (t, s) = (peaks(101, &[20.0, 50.0, 83.0]), peaks(101, &[22.0, 49.0, 80.0]));
        let cow = Cow::new(&t, 5, 6, Criterion::LeastSquares, 0.1).unwrap();
        let mut scratch = CowScratch::default();
        assert!(cow.search(&s, &mut scratch));
        assert_ne!(scratch.nodes(), cow.nodes());
        let mut out = vec![0.0; 101];
        cow.warp(&s, scratch.nodes(), true, &mut out);
        let (before, after): (f64, f64) = (s.iter().sum(), out.iter().sum());
        // Sums stand for areas: a stretch that changes within a peak leaves 0.3 %.
        assert!((after / before - 1.0).abs() < 5e-3, "{}", after / before);
    }

    #[test]
    fn bad_input_is_refused() {
        let t = peaks(50, &[20.0]);
        assert!(matches!(
            Cow::new(&t, 10, 4, Criterion::default(), 1.0),
            Err(CowError::Short { length: 4, .. })
        ));
        assert!(Cow::new(&[], 0, 0, Criterion::default(), 1.0).is_err());
        assert_eq!(
            Cow::new(&[1.0; 50], 3, 4, Criterion::default(), 1.0).err(),
            Some(CowError::Constant)
        );
        let cow = Cow::new(&t, 3, 4, Criterion::default(), 1.0).unwrap();
        assert!(!cow.search(&[2.0; 50], &mut CowScratch::default()));
    }
}

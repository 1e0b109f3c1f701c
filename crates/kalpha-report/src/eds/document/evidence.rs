//! Evidence: the rank, flagged pixels, the guard's calibration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number of components and the evidence for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rank {
    /// Number of components used.
    pub chosen: usize,
    /// What chose it, in words.
    pub chosen_by: String,
    /// Prediction error on the thinned half of the counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinning: Option<ThinningCurve>,
    /// Test that the counts are Poisson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispersion: Option<Dispersion>,
    /// Elbow of the scree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elbow: Option<usize>,
    /// Components that explain a share of the variance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cumulative_variance: Option<CumulativeVariance>,
    /// Parallel analysis: components above those of noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_analysis: Option<usize>,
    /// Minimum of Malinowski's indicator function (1977).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malinowski_ind: Option<usize>,
}

/// Weighted squared prediction error against the number of components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThinningCurve {
    /// Numbers of components tried.
    pub components: Vec<usize>,
    /// Mean prediction error over the thinnings.
    pub error: Vec<f64>,
    /// Standard error of that mean.
    pub standard_error: Vec<f64>,
    /// Number of thinnings.
    pub thinnings: usize,
}

impl ThinningCurve {
    /// Index of the smallest error.
    pub fn minimum(&self) -> Option<usize> {
        let finite = self.error.iter().enumerate().filter(|(_, e)| e.is_finite());
        finite.min_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i)
    }

    /// Smallest error plus its standard error: the bound of the one-standard-error rule.
    pub fn bound(&self) -> Option<f64> {
        let i = self.minimum()?;
        Some(self.error[i] + self.standard_error.get(i).copied().unwrap_or(0.0))
    }
}

/// Test that the counts are Poisson.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dispersion {
    /// Variance over mean; 1 for Poisson counts.
    pub index: f64,
    /// Its standard deviation for Poisson counts.
    pub sigma: f64,
    /// The counts pass.
    pub passed: bool,
}

/// Components that explain a share of the variance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CumulativeVariance {
    /// The share, 0 to 1.
    pub threshold: f64,
    /// Components needed.
    pub components: usize,
}

/// What became of a flagged pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refit {
    /// Refitted with an end-member of its own.
    OwnEndMember,
    /// Returned as raw counts in every reconstruction.
    RawCounts,
}

impl Refit {
    /// The outcome as written in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwnEndMember => "own_end_member",
            Self::RawCounts => "raw_counts",
        }
    }
}

/// A pixel that the model of the map does not explain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flagged {
    /// `[row, column]`, zero-based; the centre of the neighbourhood.
    pub pixel: [usize; 2],
    /// The element whose lines are in excess; absent where the whole spectrum is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// The family scanned, such as `P_Ka`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The test: `matched scan` of all families, `scan of flagged families`, or `own end-member`
    /// of other flagged places.
    pub test: String,
    /// Rows and columns of the neighbourhood.
    pub neighbourhood: [usize; 2],
    /// Counts found in the window.
    pub counts: f64,
    /// Counts the model expects there.
    pub expected: f64,
    /// p-value, corrected for the inflation of this map.
    pub p: f64,
    /// p-value over all pixels, families and neighbourhoods.
    pub p_family_wise: f64,
    /// What became of the pixel.
    pub refit: Refit,
}

/// How the rare-phase guard was calibrated on this map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Guard {
    /// Family-wise level of the scan, such as 0.05.
    pub level: f64,
    /// Number of tests: pixels x families x neighbourhoods.
    pub tests: u64,
    /// Empirical inflation per family.
    pub inflation: Vec<Inflation>,
    /// What the null itself flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// End-members that flagged places have of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_end_members: Vec<OwnEndMember>,
    /// Pile-up counts that the model of the map expects; 0 where none is seen.
    #[serde(default)]
    pub pile_up_counts: f64,
}

/// An end-member that flagged places have of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnEndMember {
    /// Elements that were flagged.
    pub elements: Vec<String>,
    /// Pixels that hold it.
    pub pixels: usize,
}

/// Spread of the scan statistic of a family over that of its null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inflation {
    /// The family.
    pub family: String,
    /// 1 where the null describes the map.
    pub factor: f64,
}

/// Maps drawn from the fitted null and scanned the same way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bootstrap {
    /// Maps drawn.
    pub draws: usize,
    /// Maps with at least one flag.
    pub maps_with_flags: usize,
    /// Flags in all of them.
    pub flags: usize,
}

/// Flags whose neighbourhoods touch or overlap, as one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Place<'a> {
    /// `[row, column]` of its most improbable flag.
    pub pixel: [usize; 2],
    /// What is in excess, the most improbable first, each once; `spectrum` for a whole spectrum.
    pub elements: Vec<&'a str>,
    /// Smallest family-wise p of its flags.
    pub p_family_wise: f64,
}

/// The places of some flags, the most improbable first.
pub fn places(flags: &[Flagged]) -> Vec<Place<'_>> {
    let touch = |a: &Flagged, b: &Flagged| {
        (0..2)
            .all(|i| 2 * a.pixel[i].abs_diff(b.pixel[i]) <= a.neighbourhood[i] + b.neighbourhood[i])
    };
    // Flags that touch share a group, and so does whatever touches one of them.
    let mut group: Vec<usize> = (0..flags.len()).collect();
    for i in 0..flags.len() {
        for j in 0..i {
            if touch(&flags[i], &flags[j]) && group[i] != group[j] {
                let (from, to) = (group[i].max(group[j]), group[i].min(group[j]));
                group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
            }
        }
    }
    let mut order: Vec<usize> = (0..flags.len()).collect();
    order.sort_by(|&a, &b| flags[a].p_family_wise.total_cmp(&flags[b].p_family_wise));
    let mut out: Vec<(usize, Place<'_>)> = Vec::new();
    for i in order {
        let (flag, element) = (&flags[i], flags[i].element.as_deref().unwrap_or("spectrum"));
        match out.iter_mut().find(|(g, _)| *g == group[i]) {
            Some((_, place)) if place.elements.contains(&element) => {}
            Some((_, place)) => place.elements.push(element),
            None => out.push((
                group[i],
                Place {
                    pixel: flag.pixel,
                    elements: vec![element],
                    p_family_wise: flag.p_family_wise,
                },
            )),
        }
    }
    out.into_iter().map(|(_, place)| place).collect()
}

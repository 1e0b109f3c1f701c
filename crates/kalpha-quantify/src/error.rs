//! Errors and refusals of this crate.

use serde::{Deserialize, Serialize};

/// What stops a quantification because of how it was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantifyError {
    /// Arrays that belong together differ in length.
    #[error("{what} has {got} entries, expected {expected}")]
    Length {
        /// The array at fault.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length of the line list.
        expected: usize,
    },
    /// One k-factor entry cannot be read.
    #[error(
        "k-factor entry `{entry}`: {problem} (hint: write LINE=VALUE or LINE=VALUE+-SIGMA, e.g. Fe_Ka=1.450226,Pt_La=5.075602)"
    )]
    KFactorSyntax {
        /// The entry as given.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A line that is to be quantified has no k-factor.
    #[error(
        "k-factors are given, but none for {line} (hint: add --k-factors {line}=VALUE, leave the element out with --elements, or give none and all are computed)"
    )]
    KFactorMissing {
        /// The line, such as `Fe_Ka`.
        line: String,
    },
    /// A k-factor cannot be computed from the tables.
    #[error(
        "the k-factor of {line} cannot be computed: {problem} (hint: give it with --k-factors {line}=VALUE)"
    )]
    KFactorNotComputable {
        /// The line.
        line: String,
        /// Why not.
        problem: &'static str,
    },
    /// A line name is not of the form `Fe_Ka`.
    #[error(
        "`{name}` is not a line name (hint: write ELEMENT_LINE with K, L or M lines, e.g. Fe_Ka, Pt_La, Au_Ma)"
    )]
    LineName {
        /// The name as given.
        name: String,
    },
    /// The photon does not reach a line.
    #[error(
        "{line} lies deeper than the photon energy of {photon_energy} eV (hint: leave it out, or mend the photon energy)"
    )]
    OutOfReach {
        /// The line, such as `Ti 2p`.
        line: String,
        /// Photon energy, eV.
        photon_energy: f64,
    },
    /// A sensitivity factor is no positive number.
    #[error("the sensitivity of {line} is {value} (hint: a positive number relative to C 1s)")]
    Sensitivity {
        /// The line.
        line: String,
        /// Its sensitivity.
        value: f64,
    },
    /// Areas over sensitivities do not add up to a positive number.
    #[error("the areas add up to {total} atoms (hint: check backgrounds and signs)")]
    NoAtoms {
        /// The sum.
        total: f64,
    },
    /// A line is not in the tables.
    #[error(transparent)]
    Physics(#[from] kalpha_physics::PhysicsError),
    /// An element symbol is unknown.
    #[error("unknown element `{symbol}` (hint: use a symbol such as Fe)")]
    Element {
        /// The symbol as given.
        symbol: String,
    },
    /// A number is outside its range.
    #[error("{what} = {value} is outside {range}")]
    OutOfRange {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The allowed range, in words.
        range: &'static str,
    },
    /// The density of the film cannot be estimated from the elements.
    #[error(
        "{element} is a gas as a pure element, so the density of the film cannot be averaged from the elements (give it with --density VALUE in g/cm3)"
    )]
    DensityNeeded {
        /// The gaseous element.
        element: String,
    },
}

/// Why a quantity is refused. Part of the result, not an error: the run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotQuantified {
    /// The reason as a stable key.
    pub reason: RefusalReason,
    /// The reason in one sentence.
    pub detail: String,
    /// What the user can do about it.
    pub hint: String,
}

/// The stable keys of [`NotQuantified`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalReason {
    /// A bulk specimen; thin-film k-factors do not apply.
    Bulk,
    /// A film on a substrate; neither thin-film nor bulk formulae apply.
    Layered,
    /// The metadata do not say what the specimen is.
    UnknownSpecimen,
    /// Fewer than two elements: fractions carry no information.
    TooFewElements,
    /// The weighted intensities do not sum to a positive number.
    NoSignal,
    /// A k-factor is missing and may not be computed.
    KFactorMissing,
    /// The absorption correction did not converge.
    NotConverged,
    /// A phase that is support or background, not specimen.
    Support,
}

impl RefusalReason {
    /// The key as printed in JSON (`bulk`, `layered`, ...).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Layered => "layered",
            Self::UnknownSpecimen => "unknown_specimen",
            Self::TooFewElements => "too_few_elements",
            Self::NoSignal => "no_signal",
            Self::KFactorMissing => "k_factor_missing",
            Self::NotConverged => "not_converged",
            Self::Support => "support",
        }
    }
}

impl std::fmt::Display for NotQuantified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not quantified ({}): {} {}", self.reason.as_str(), self.detail, self.hint)
    }
}

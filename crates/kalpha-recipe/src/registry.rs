//! Every step, one line each.

use kalpha_core::{AnyStep, Registered};
use kalpha_decompose as decompose;
use kalpha_fit::eds;
use kalpha_process::{self as process, row_method::Treatment};
use kalpha_quantify as quantify;

#[rustfmt::skip]
static STEPS: &[&dyn AnyStep] = &[
    &Registered::<process::strobe::StrobeStep>::new(),
    &Registered::<process::totals::TotalsStep>::new(),
    &Registered::<eds::identify::CalibrateStep>::new(),
    &Registered::<eds::identify::IdentifyStep>::new(),
    &Registered::<eds::families::FamilyFitStep>::new(),
    &Registered::<eds::windows::LineWindowsStep>::new(),
    &Registered::<decompose::pca::PcaStep>::new(),
    &Registered::<decompose::rank::RankStep>::new(),
    &Registered::<decompose::phases::PhasesStep>::new(),
    &Registered::<decompose::nmf_kl::NmfStep>::new(),
    &Registered::<decompose::rare::RareStep>::new(),
    &Registered::<decompose::reconstruction::ReconstructionStep>::new(),
    &Registered::<eds::families::PhaseFitStep>::new(),
    &Registered::<quantify::cliff_lorimer::CliffLorimerStep>::new(),
    &Registered::<Treatment<process::normalize::total::Total>>::new(),
];

/// All registered steps.
pub fn steps() -> &'static [&'static dyn AnyStep] {
    STEPS
}

/// The step with this id.
pub fn find(id: &str) -> Option<&'static dyn AnyStep> {
    STEPS.iter().copied().find(|step| step.id() == id)
}

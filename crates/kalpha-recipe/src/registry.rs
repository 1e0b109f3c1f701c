//! Every step, one line each.

use kalpha_core::{AnyStep, Registered};
use kalpha_decompose as decompose;
use kalpha_fit::{eds, lcf};
use kalpha_process::{
    self as process, baseline,
    row_method::{Background, Treatment},
};
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
    &Registered::<decompose::mcr::step::McrStep>::new(),
    &Registered::<decompose::target::step::TargetStep>::new(),
    &Registered::<decompose::rare::RareStep>::new(),
    &Registered::<decompose::reconstruction::ReconstructionStep>::new(),
    &Registered::<eds::families::PhaseFitStep>::new(),
    &Registered::<quantify::cliff_lorimer::CliffLorimerStep>::new(),
    &Registered::<Treatment<process::normalize::total::Total>>::new(),
    &Registered::<Treatment<process::normalize::max::Max>>::new(),
    &Registered::<Treatment<process::normalize::reference_peak::ReferencePeak>>::new(),
    &Registered::<Treatment<process::normalize::snv::Snv>>::new(),
    &Registered::<Treatment<process::normalize::msc::Msc>>::new(),
    &Registered::<Treatment<process::normalize::min_max::MinMax>>::new(),
    &Registered::<Treatment<process::normalize::edge_step::EdgeStep>>::new(),
    &Registered::<Treatment<process::normalize::anscombe::Anscombe>>::new(),
    &Registered::<Treatment<process::normalize::anscombe::AnscombeInverse>>::new(),
    &Registered::<Treatment<process::normalize::poisson::Poisson>>::new(),
    &Registered::<Treatment<process::align::shift::step::ShiftParams>>::new(),
    &Registered::<Treatment<process::align::dtw::step::DtwParams>>::new(),
    &Registered::<Treatment<process::align::cow::step::CowParams>>::new(),
    &Registered::<Treatment<process::denoise::wavelet::Wavelet>>::new(),
    &Registered::<Treatment<process::denoise::savitzky_golay::SavitzkyGolay>>::new(),
    &Registered::<Treatment<process::denoise::whittaker::Whittaker>>::new(),
    &Registered::<Treatment<process::denoise::despike::Despike>>::new(),
    &Registered::<Treatment<process::transfer::step::SlopeBias>>::new(),
    &Registered::<Treatment<process::transfer::step::Direct>>::new(),
    &Registered::<Treatment<process::transfer::step::Piecewise>>::new(),
    &Registered::<Treatment<process::transfer::step::Orthogonal>>::new(),
    &Registered::<Treatment<process::transfer::step::Coral>>::new(),
    &Registered::<Treatment<process::calibrate::peaks::step::Peaks>>::new(),
    &Registered::<process::calibrate::binding_energy::BindingEnergyStep>::new(),
    &Registered::<kalpha_fit::peaks::PeaksStep>::new(),
    &Registered::<quantify::xps::QuantifyStep>::new(),
    &Registered::<Background<process::baseline::shirley::Shirley>>::new(),
    &Registered::<Background<process::baseline::tougaard::TougaardParams>>::new(),
    &Registered::<Background<baseline::auto::Auto>>::new(),
    &Registered::<Background<baseline::asls::Asls>>::new(),
    &Registered::<Background<baseline::iasls::Iasls>>::new(),
    &Registered::<Background<baseline::airpls::Airpls>>::new(),
    &Registered::<Background<baseline::arpls::Arpls>>::new(),
    &Registered::<Background<baseline::drpls::Drpls>>::new(),
    &Registered::<Background<baseline::iarpls::Iarpls>>::new(),
    &Registered::<Background<baseline::aspls::Aspls>>::new(),
    &Registered::<Background<baseline::psalsa::Psalsa>>::new(),
    &Registered::<Background<baseline::pspline::PsplineAsls>>::new(),
    &Registered::<Background<baseline::pspline::PsplineArpls>>::new(),
    &Registered::<Background<baseline::snip::Snip>>::new(),
    &Registered::<Background<baseline::modpoly::Modpoly>>::new(),
    &Registered::<Background<baseline::imodpoly::Imodpoly>>::new(),
    &Registered::<Background<baseline::rolling_ball::RollingBall>>::new(),
    &Registered::<Background<baseline::mor::Mor>>::new(),
    &Registered::<Background<baseline::tophat::Tophat>>::new(),
    &Registered::<Background<baseline::rubberband::Rubberband>>::new(),
    &Registered::<Background<baseline::std_distribution::StdDistribution>>::new(),
    &Registered::<Background<baseline::linear::Linear>>::new(),
    &Registered::<Background<baseline::power_law::PowerLaw>>::new(),
    &Registered::<Background<baseline::plasmon_tail::PlasmonTail>>::new(),
    &Registered::<Background<baseline::bremsstrahlung::step::Bremsstrahlung>>::new(),
    &Registered::<lcf::step::LcfStep>::new(),
];

/// All registered steps.
pub fn steps() -> &'static [&'static dyn AnyStep] {
    STEPS
}

/// The step with this id.
pub fn find(id: &str) -> Option<&'static dyn AnyStep> {
    STEPS.iter().copied().find(|step| step.id() == id)
}

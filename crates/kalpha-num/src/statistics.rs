//! Distributions far into their tails, tests in families, intervals.
//!
//! Tail probabilities come as natural logarithms where they can be small: a pixel that holds
//! twenty counts where half a count is expected has p = 1e-25, and a map makes millions of tests.

mod continuous;
mod discrete;
mod interval;
mod multiple;
mod special;

pub use continuous::{
    chi2_cdf, chi2_quantile, chi2_sf, ln_normal_sf, normal_cdf, normal_quantile, normal_sf,
    student_t_cdf, student_t_quantile, two_sided_normal,
};
pub use discrete::{
    ln_binomial_pmf, ln_negative_binomial_sf, ln_poisson_cdf, ln_poisson_pmf, ln_poisson_sf,
    poisson_critical,
};
pub use interval::{Currie, clopper_pearson_interval, currie, poisson_interval, wilson_interval};
pub use multiple::{benjamini_hochberg, benjamini_yekutieli, bonferroni, holm};
pub use special::{erfc, ln_gamma, regularized_beta, regularized_gamma_p, regularized_gamma_q};

#[cfg(test)]
mod tests;

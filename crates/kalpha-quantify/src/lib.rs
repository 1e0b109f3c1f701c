//! From line intensities to compositions with error budgets.

//! The step registry, recipes, checks and provenance.

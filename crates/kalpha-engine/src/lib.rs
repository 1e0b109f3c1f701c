//! Runs the primitives: threads, cells, passes, cancellation.

//! The kalpha command.

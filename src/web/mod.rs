//! The face for JavaScript.

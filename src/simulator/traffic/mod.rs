//! A stream of pushes, planned from a seed and played against a receiver.

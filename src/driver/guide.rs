//! A loop of your own, step by step.

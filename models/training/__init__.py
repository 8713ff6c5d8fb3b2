"""Trains, measures and exports the models of Wardline. Started by `cargo xtask train`."""

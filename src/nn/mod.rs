//! Layers, weights by name, key-value cache.

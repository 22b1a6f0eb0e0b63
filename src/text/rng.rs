//! The random numbers of sampling: the same on every platform.

/// xoshiro256++ 1.0 (Blackman and Vigna 2019), seeded through SplitMix64 as its authors advise.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    /// A seed that differs from call to call, of the quality that picking words needs (it is no secret).
    pub fn entropy() -> u64 {
        #[cfg(target_arch = "wasm32")]
        {
            let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
            half() << 32 | half()
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            use std::hash::{BuildHasher, Hasher, RandomState};
            RandomState::new().build_hasher().finish()
        }
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in 0 ≤ x < 1, with 53 bits.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn the_authors_reference_values() {
        // First outputs of the authors' C code for state 1, 2, 3, 4.
        let mut rng = Rng([1, 2, 3, 4]);
        let got: Vec<u64> = (0..5).map(|_| rng.next_u64()).collect();
        assert_eq!(got, [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205]);
    }

    #[test]
    fn entropy_differs() {
        assert_ne!(Rng::entropy(), Rng::entropy());
    }
}

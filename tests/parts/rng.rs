//! Random moments that can be repeated.

/// Pseudorandom numbers from a seed that is printed. xorshift64, see Marsaglia, "Xorshift RNGs".
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts with the seed of `TERE_FAULT_SEED`, or with a different one each time.
    pub fn of_this_run() -> Self {
        let seed = std::env::var("TERE_FAULT_SEED").map_or_else(
            |_| {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes).unwrap();
                u64::from_ne_bytes(bytes)
            },
            |seed| seed.parse().unwrap(),
        );
        println!("TERE_FAULT_SEED={seed}");
        // A seed of zero would produce only zeros.
        Self(seed.max(1))
    }

    /// Another sequence, derived from this one.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// A number from 0 up to 1.
    #[allow(clippy::cast_precision_loss)] // a moment need not be exact
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

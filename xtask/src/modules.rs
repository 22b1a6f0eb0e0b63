//! The WebAssembly modules of the package: what each is for (its kind), and for which browsers it is compiled (its variant).

/// What a module can do.
pub struct Kind {
    pub name: &'static str,
    /// The features of the crate that it is compiled with.
    pub features: &'static str,
}

/// How a module is compiled: which abilities of the browser it uses.
pub struct Variant {
    pub name: &'static str,
    /// Features of the crate beside the kind's.
    pub features: &'static str,
    /// rustc's flags for Votive itself: the dependencies are compiled once for all variants that differ in nothing else.
    pub own_flags: &'static [&'static str],
    /// rustc's flags for everything that is linked.
    pub flags: &'static [&'static str],
    /// Arguments of wasm-opt beside those that every module has.
    pub optimiser: &'static [&'static str],
    /// Whether its memory is shared between threads: the standard library has to be compiled for that.
    pub shares_memory: bool,
}

/// A module of the package: its files are `votive_KIND_VARIANT.js`, `.d.ts` and `_bg.wasm`.
pub struct Module {
    pub kind: &'static Kind,
    pub variant: &'static Variant,
    /// What it may weigh, in bytes: as it is, and compressed with brotli at its best.
    pub max_raw: u64,
    pub max_brotli: u64,
}

/// Text models, which the package itself loads.
const TEXT: Kind = Kind { name: "text", features: "text" };
/// Speech to text, which the package itself loads.
const SPEECH: Kind = Kind { name: "speech", features: "whisper" };
/// Tensors, which `votive/tensor` loads.
const TENSOR: Kind = Kind { name: "tensor", features: "tensor-js,conv,fft" };
/// The conformance suite: not in the package, but for tests of every variant.
pub const CONFORMANCE: Kind = Kind { name: "conformance", features: "conformance,conv,fft" };

/// What every supported browser has.
pub const SIMD: Variant =
    Variant { name: "simd", features: "", own_flags: &[], flags: &[], optimiser: &[], shares_memory: false };
/// Relaxed SIMD: fused multiply-add for floats.
const RELAXED: Variant = Variant {
    name: "relaxed",
    own_flags: &["-Ctarget-feature=+relaxed-simd"],
    optimiser: &["--enable-relaxed-simd"],
    ..SIMD
};
/// Relaxed SIMD and threads over a shared memory, which cross-origin isolated pages can have.
pub const THREADS: Variant = Variant {
    name: "threads",
    own_flags: &[
        "-Ctarget-feature=+relaxed-simd",
        "-Clink-arg=--shared-memory",
        "-Clink-arg=--import-memory",
        "-Clink-arg=--max-memory=4294967296",
        "-Clink-arg=--export=__wasm_init_tls",
        "-Clink-arg=--export=__tls_size",
        "-Clink-arg=--export=__tls_align",
        "-Clink-arg=--export=__tls_base",
    ],
    flags: &["-Ctarget-feature=+atomics"],
    optimiser: &["--enable-relaxed-simd", "--enable-threads"],
    shares_memory: true,
    ..SIMD
};

/// The browser's GPU, beside the processor without threads, which prepares what the GPU gets.
pub const WEBGPU: Variant = Variant { name: "webgpu", features: "webgpu", ..SIMD };

/// All modules of the package. None has code of another's kind; a page downloads one of a kind. Those with threads come last: for
/// them the dependencies are compiled anew.
pub const MODULES: &[Module] = &[
    Module { kind: &TEXT, variant: &SIMD, max_raw: 3_000_000, max_brotli: 900_000 },
    Module { kind: &TEXT, variant: &RELAXED, max_raw: 3_000_000, max_brotli: 900_000 },
    Module { kind: &TEXT, variant: &WEBGPU, max_raw: 3_600_000, max_brotli: 1_050_000 },
    Module { kind: &SPEECH, variant: &SIMD, max_raw: 3_500_000, max_brotli: 1_050_000 },
    Module { kind: &SPEECH, variant: &RELAXED, max_raw: 3_500_000, max_brotli: 1_050_000 },
    Module { kind: &SPEECH, variant: &WEBGPU, max_raw: 4_000_000, max_brotli: 1_200_000 },
    Module { kind: &TENSOR, variant: &SIMD, max_raw: 1_500_000, max_brotli: 450_000 },
    Module { kind: &TEXT, variant: &THREADS, max_raw: 3_000_000, max_brotli: 900_000 },
    Module { kind: &SPEECH, variant: &THREADS, max_raw: 3_500_000, max_brotli: 1_050_000 },
];

impl Module {
    /// `KIND_VARIANT`, as it is named on the command line.
    pub fn name(&self) -> String {
        format!("{}_{}", self.kind.name, self.variant.name)
    }

    /// The file names begin with this.
    pub fn stem(&self) -> String {
        format!("votive_{}", self.name())
    }
}

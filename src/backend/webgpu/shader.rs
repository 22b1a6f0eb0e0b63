//! Programs put together of the pieces in `shaders/`: how each operand is read, how the result is written, constants, and the
//! kernel itself.

use super::memory::Encoding;
use crate::dtype::DType;
use std::{
    fmt::Write,
    hash::{Hash, Hasher},
};

/// An entry point and the pieces it needs besides those of its operands.
#[derive(Debug)]
pub(super) struct Kernel {
    /// File name without its ending.
    pub name: &'static str,
    source: &'static str,
    pieces: &'static [Piece],
}

/// The text of a file; its name stands for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    name: &'static str,
    text: &'static str,
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Piece {}
impl Hash for Piece {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

macro_rules! piece {
    ($($path:literal)*) => {
        Piece {
            name: concat!($($path),*),
            text: include_str!(concat!("../../../shaders/", $($path,)* ".wgsl")),
        }
    };
}
macro_rules! kernels {
    ($($id:ident = $name:literal [$($piece:literal),*];)*) => { $(
        pub(super) static $id: Kernel =
            Kernel { name: $name, source: piece!("kernel/" $name).text, pieces: &[$(piece!($piece)),*] };
    )* };
}
kernels! {
    UNARY = "unary" [];
    GATED = "gated" ["common/functions"];
    BINARY = "binary" [];
    COMPARE = "compare" [];
    CHOOSE = "choose" [];
    AFFINE_FLOAT = "affine_float" [];
    AFFINE_INT = "affine_int" [];
    CLAMP_FLOAT = "clamp_float" [];
    CLAMP_INT = "clamp_int" [];
    COPY = "copy" ["common/convert"];
    DEQUANTIZE = "dequantize" ["common/convert"];
    FILL = "fill" [];
    GATHER = "gather" ["common/index"];
    SCATTER = "scatter" ["common/index"];
    EMBEDDING = "embedding" ["common/index"];
    REDUCE_GROUP = "reduce_group" ["common/reduce", "common/convert"];
    REDUCE_THREAD = "reduce_thread" ["common/reduce", "common/convert"];
    ARG_REDUCE = "arg_reduce" [];
    SCAN = "scan" ["common/reduce", "common/convert"];
    SORT = "sort" [];
    SOFTMAX = "softmax" [];
    NORM = "norm" [];
    ROPE = "rope" [];
    MATMUL = "matmul" [];
    LINEAR_ROW = "linear_row" [];
    LINEAR_TILE = "linear_tile" ["row/floats"];
    PACK_ROWS = "pack_rows" [];
    LINEAR_PACKED = "linear_packed" [];
    HALVE_ROWS = "halve_rows" [];
    LINEAR_MATRIX = "linear_matrix" [];
    MATRIX_TRIAL = "matrix_trial" [];
    ATTENTION = "attention" ["common/functions"];
    ATTENTION_TILE = "attention_tile" ["common/functions"];
    ATTENTION_JOIN = "attention_join" [];
    HEADS = "heads" [];
    SAMPLE_FLOOR = "sample_floor" ["common/functions", "common/order"];
    MAX_INDICES = "max_indices" [];
    PEAK_MEMORY = "peak_memory" [];
    PEAK_FLOAT = "peak_float" [];
    PEAK_PACKED = "peak_packed" [];
}

/// Optional pieces, by what they do.
pub(super) mod pieces {
    use super::Piece;

    pub const FUNCTIONS: Piece = piece!("common/functions");
    pub const FUNCTIONS_INT: Piece = piece!("common/functions_int");
    pub const BINARY_FLOAT: Piece = piece!("common/binary_float");
    pub const BINARY_INT: Piece = piece!("common/binary_int");
    pub const FINISH_PLAIN: Piece = piece!("common/finish_plain");
    pub const FINISH_MEAN: Piece = piece!("common/finish_mean");
    pub const WITH_BIAS: Piece = piece!("common/with_bias");
    pub const WITHOUT_BIAS: Piece = piece!("common/without_bias");
    pub const WITH_RESIDUAL: Piece = piece!("common/with_residual");
    pub const HELD_F16: Piece = piece!("common/held_f16");
    pub const HELD_F32: Piece = piece!("common/held_f32");
    pub const SUMS_SHARED: Piece = piece!("common/sums_shared");
    pub const SUMS_SUBGROUP: Piece = piece!("common/sums_subgroup");
    pub const PHILOX: Piece = piece!("common/philox");
    pub const ORDER: Piece = piece!("common/order");
    pub const PLAIN_VALUE: Piece = piece!("arg/plain");
    pub const NOISY_VALUE: Piece = piece!("arg/noisy");
    pub const ALL_KEPT: Piece = piece!("arg/all_kept");
    pub const ABOVE_FLOOR: Piece = piece!("arg/above_floor");
    pub const EVERY: Piece = piece!("arg/every");
    pub const LISTED: Piece = piece!("arg/listed");
    pub const ONE_WEIGHT: Piece = piece!("row/one_weight");
    pub const TWO_WEIGHTS: Piece = piece!("row/two_weights");
    pub const THREE_WEIGHTS: Piece = piece!("row/three_weights");
    pub const WITH_NORM: Piece = piece!("row/with_norm");
    pub const WITHOUT_NORM: Piece = piece!("row/without_norm");
    pub const PLAIN: Piece = piece!("row/plain");
    pub const BIASED: Piece = piece!("row/biased");
    pub const RESIDUAL: Piece = piece!("row/residual");
    pub const GATED: Piece = piece!("row/gated");
    pub const GATED_BEFORE: Piece = piece!("row/gated_before");
    /// Browsers have other names for what it does.
    pub const MATRICES: Piece = piece!("matrix/coop");
    pub const MATRICES_OF_BROWSERS: Piece = piece!("matrix/subgroup");
    pub const SUMS_2X2: Piece = piece!("matrix/sums_2x2");
    pub const SUMS_4X4: Piece = piece!("matrix/sums_4x4");
    pub const LEFT_HALVES: Piece = piece!("row/halves");
    pub const LEFT_FLOATS: Piece = piece!("row/floats");
    pub const WITH_HEAD_NORMS: Piece = piece!("common/with_head_norms");
    pub const WITHOUT_HEAD_NORMS: Piece = piece!("common/without_head_norms");
    pub const WITH_MASK: Piece = piece!("common/with_mask");
    pub const WITHOUT_MASK: Piece = piece!("common/without_mask");
}

/// What numbers a program computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    Float,
    Int,
    Uint,
}

impl Class {
    /// Of a dtype; block formats are floats.
    pub fn of(dtype: DType) -> Self {
        match dtype {
            DType::I64 | DType::I32 => Self::Int,
            DType::U32 | DType::U8 => Self::Uint,
            _ => Self::Float,
        }
    }
    fn piece(self) -> Piece {
        match self {
            Self::Float => piece!("common/float"),
            Self::Int => piece!("common/int"),
            Self::Uint => piece!("common/uint"),
        }
    }
}

/// A value filled in for a word in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Number(u32),
    Flag(bool),
    /// The name of a function.
    Word(&'static str),
}

/// Which program: everything that its text depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// What it computes with.
    pub class: Class,
    /// How the operands are held.
    pub inputs: Vec<Encoding>,
    /// What the operands are called in the text.
    pub names: Vec<&'static str>,
    /// Which operands are read eight elements at a time: a bit for each.
    pub eights: u32,
    /// Which operands are read four words at a time.
    pub quads: u32,
    /// How the result is rounded and held.
    pub result: DType,
    /// Values filled in.
    pub values: Vec<(&'static str, Value)>,
    /// Optional pieces.
    pub pieces: Vec<Piece>,
}

/// What a program begins with that has operations among threads that run in step, in browsers: naga does not know the line.
const ENABLE_SUBGROUPS: &str = "enable subgroups;\n";
/// What a program begins with that has matrices.
const ENABLE_MATRICES: &str = "enable wgpu_cooperative_matrix;\n";
const ENABLE_MATRICES_OF_BROWSERS: &str = "enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
";

/// Operands are called by these letters, unless the job says otherwise.
pub(super) const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn input(encoding: Encoding) -> Piece {
    match encoding {
        Encoding::F32 => piece!("input/f32"),
        Encoding::F16 => piece!("input/f16"),
        Encoding::BF16 => piece!("input/bf16"),
        Encoding::I32 => piece!("input/i32"),
        Encoding::U32 => piece!("input/u32"),
        Encoding::U8 => piece!("input/u8"),
        Encoding::Blocks(_) => piece!("block/bytes"),
    }
}

fn result(dtype: DType) -> Piece {
    match dtype {
        DType::F16 => piece!("result/f16"),
        DType::BF16 => piece!("result/bf16"),
        DType::I64 | DType::I32 => piece!("result/i32"),
        DType::U32 => piece!("result/u32"),
        DType::U8 => piece!("result/u8"),
        _ => piece!("result/f32"),
    }
}

/// The function that gives eight weights of a block format, packed.
fn packed_eights(format: DType) -> &'static [Piece] {
    match format {
        DType::Q4_0 => &[piece!("block/q4_0")],
        DType::Q4_1 => &[piece!("block/q4_1")],
        DType::Q5_0 => &[piece!("block/q5_0")],
        DType::Q5_1 => &[piece!("block/q5_1")],
        DType::Q8_0 => &[piece!("block/q8_0")],
        DType::Q8_1 => &[piece!("block/q8_1")],
        DType::Q2_K => &[piece!("block/q2_k")],
        DType::Q3_K => &[piece!("block/q3_k")],
        DType::Q4_K => &[piece!("block/scales_k"), piece!("block/q4_k")],
        DType::Q5_K => &[piece!("block/scales_k"), piece!("block/q5_k")],
        DType::Q6_K => &[piece!("block/q6_k")],
        _ => &[piece!("block/q8_k")],
    }
}

/// What the function is made of that gives eight weights as floats.
fn eights(encoding: Encoding) -> Vec<Piece> {
    match encoding {
        Encoding::Blocks(format) => [packed_eights(format), &[piece!("block/unpacked")]].concat(),
        Encoding::F16 => vec![piece!("block/half")],
        _ => vec![piece!("block/float")],
    }
}

/// Puts words in place of others: whole ones, and what is before or behind an underscore of longer ones (`load_NAME`).
fn filled(text: &str, words: &[(&str, &str)]) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let value = |name: &str| words.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_word) {
        let (before, word) = rest.split_at(at);
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        out.push_str(before);
        let behind = word.rsplit_once('_').and_then(|(start, name)| Some([start, "_", value(name)?]));
        let in_front = || word.split_once('_').and_then(|(name, end)| Some([value(name)?, "_", end]));
        match value(word) {
            Some(value) => out.push_str(value),
            None => match behind.or_else(in_front) {
                Some(parts) => out.extend(parts),
                None => out.push_str(word),
            },
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The program's text.
pub(super) fn compose(kernel: &Kernel, variant: &Variant) -> String {
    compose_for(cfg!(target_arch = "wasm32"), kernel, variant)
}

/// As browsers read it, or naga.
pub(super) fn compose_for(browser: bool, kernel: &Kernel, variant: &Variant) -> String {
    let mut text = String::new();
    let has = |piece| variant.pieces.contains(&piece);
    if has(pieces::HELD_F16) || variant.values.contains(&("ELEMENT", Value::Word("f16"))) {
        text.push_str("enable f16;\n");
    }
    text.push_str(match browser {
        true if has(pieces::MATRICES) => ENABLE_MATRICES_OF_BROWSERS,
        true if has(pieces::SUMS_SUBGROUP) => ENABLE_SUBGROUPS,
        false if has(pieces::MATRICES) => ENABLE_MATRICES,
        _ => "",
    });
    let mut functions = Vec::new();
    for (name, value) in &variant.values {
        // Writing to a string cannot fail.
        let _ = match value {
            Value::Number(n) => writeln!(text, "const {name}: u32 = {n}u;"),
            Value::Flag(flag) => writeln!(text, "const {name}: bool = {flag};"),
            Value::Word(word) => {
                functions.push((*name, *word));
                Ok(())
            }
        };
    }
    let add = |text: &mut String, piece: Piece, words: &[(&str, &str)]| {
        text.push_str(&filled(piece.text, words));
        text.push('\n');
    };
    add(&mut text, piece!("common/params"), &[]);
    add(&mut text, variant.class.piece(), &[]);
    if variant.eights != 0 {
        add(&mut text, piece!("block/common"), &[]);
    }
    if variant.inputs.iter().any(|encoding| matches!(encoding, Encoding::Blocks(_))) {
        add(&mut text, piece!("block/packed"), &[]);
    }
    for (i, (&encoding, name)) in variant.inputs.iter().zip(&variant.names).enumerate() {
        let slot = (i + 1).to_string();
        let words = [("NAME", *name), ("SLOT", &*slot)];
        let read_in_eights = variant.eights & (1 << i) != 0;
        let in_quads = variant.quads & (1 << i) != 0;
        add(&mut text, if in_quads { piece!("input/quads") } else { input(encoding) }, &words);
        let pieces = match encoding {
            _ if read_in_eights => eights(encoding),
            Encoding::Blocks(format) => packed_eights(format).to_vec(),
            _ => Vec::new(),
        };
        pieces.into_iter().for_each(|piece| add(&mut text, piece, &words));
    }
    let slot = (variant.inputs.len() + 1).to_string();
    add(&mut text, result(variant.result), &[("SLOT", &slot)]);
    for &piece in variant.pieces.iter().chain(kernel.pieces) {
        let piece = if browser && piece == pieces::MATRICES { pieces::MATRICES_OF_BROWSERS } else { piece };
        add(&mut text, piece, &functions);
    }
    text.push_str(&filled(kernel.source, &functions));
    text
}

//! That nothing is left out: every operation of the closed set and every public method of `Tensor` that computes something
//! has a case, and a gradient's case unless it is stated here why it has none. A new one without either fails, or does not
//! compile until it has a line in `operations!`.

use super::{Arrangement, Case, calls, input, open};
use crate::{
    autograd::{MadeBy, ViewOp, steps},
    backend::{
        Backend, Meta, Reading, Storage, View,
        cpu::{Buffer, CpuBackend},
    },
    device::Device,
    dtype::DType,
    error::Result,
    layout::Layout,
    op::{Binary, Compare, Gate, Op, Reduce, Unary},
    shape::Shape,
    tensor::Tensor,
};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

/// What an operation needs: a case, and a case with gradients or the reason why not.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gradient {
    Yes,
    /// The result is of integers.
    Integers,
    /// Tested where this says.
    Elsewhere(&'static str),
}

macro_rules! operations {
    ($($pattern:pat => $gradient:expr;)*) => {
        /// What identifies an operation here: its pattern below.
        fn name_of(op: &Op) -> &'static str {
            match op { $($pattern => stringify!($pattern),)* }
        }
        const OPERATIONS: &[(&str, Gradient)] = &[$((stringify!($pattern), $gradient)),*];
    };
}
use Gradient::{Elsewhere, Integers, Yes};
operations! {
    Op::Copy => Yes;
    Op::Cast(_) => Yes;
    Op::Unary(Unary::Neg) => Yes;
    Op::Unary(Unary::Abs) => Yes;
    Op::Unary(Unary::Sign) => Yes;
    Op::Unary(Unary::Exp) => Yes;
    Op::Unary(Unary::Log) => Yes;
    Op::Unary(Unary::Sqrt) => Yes;
    Op::Unary(Unary::Rsqrt) => Yes;
    Op::Unary(Unary::Recip) => Yes;
    Op::Unary(Unary::Sqr) => Yes;
    Op::Unary(Unary::Sin) => Yes;
    Op::Unary(Unary::Cos) => Yes;
    Op::Unary(Unary::Tan) => Yes;
    Op::Unary(Unary::Asin) => Yes;
    Op::Unary(Unary::Acos) => Yes;
    Op::Unary(Unary::Atan) => Yes;
    Op::Unary(Unary::Sinh) => Yes;
    Op::Unary(Unary::Cosh) => Yes;
    Op::Unary(Unary::Tanh) => Yes;
    Op::Unary(Unary::Asinh) => Yes;
    Op::Unary(Unary::Acosh) => Yes;
    Op::Unary(Unary::Atanh) => Yes;
    Op::Unary(Unary::Exp2) => Yes;
    Op::Unary(Unary::Expm1) => Yes;
    Op::Unary(Unary::Log2) => Yes;
    Op::Unary(Unary::Log10) => Yes;
    Op::Unary(Unary::Log1p) => Yes;
    Op::Unary(Unary::Erf) => Yes;
    Op::Unary(Unary::Erfinv) => Yes;
    Op::Unary(Unary::Floor) => Yes;
    Op::Unary(Unary::Ceil) => Yes;
    Op::Unary(Unary::Round) => Yes;
    Op::Unary(Unary::Trunc) => Yes;
    Op::Unary(Unary::Sigmoid) => Yes;
    Op::Unary(Unary::Relu) => Yes;
    Op::Unary(Unary::Silu) => Yes;
    Op::Unary(Unary::Gelu) => Yes;
    Op::Unary(Unary::GeluTanh) => Yes;
    Op::Binary(Binary::Add) => Yes;
    Op::Binary(Binary::Sub) => Yes;
    Op::Binary(Binary::Mul) => Yes;
    Op::Binary(Binary::Div) => Yes;
    Op::Binary(Binary::Pow) => Yes;
    Op::Binary(Binary::Min) => Yes;
    Op::Binary(Binary::Max) => Yes;
    Op::Binary(Binary::Atan2) => Yes;
    Op::Binary(Binary::Remainder) => Yes;
    Op::Binary(Binary::Fmod) => Yes;
    Op::Binary(Binary::Hypot) => Yes;
    Op::Binary(Binary::Copysign) => Yes;
    Op::Binary(Binary::BitAnd) => Integers;
    Op::Binary(Binary::BitOr) => Integers;
    Op::Binary(Binary::BitXor) => Integers;
    Op::Binary(Binary::Shl) => Integers;
    Op::Binary(Binary::Shr) => Integers;
    Op::Affine { .. } => Yes;
    Op::Clamp { .. } => Yes;
    Op::Compare(Compare::Eq) => Integers;
    Op::Compare(Compare::Ne) => Integers;
    Op::Compare(Compare::Lt) => Integers;
    Op::Compare(Compare::Le) => Integers;
    Op::Compare(Compare::Gt) => Integers;
    Op::Compare(Compare::Ge) => Integers;
    Op::Where => Yes;
    Op::Reduce { reduce: Reduce::Sum, .. } => Yes;
    Op::Reduce { reduce: Reduce::Mean, .. } => Yes;
    Op::Reduce { reduce: Reduce::Max, .. } => Yes;
    Op::Reduce { reduce: Reduce::Min, .. } => Yes;
    Op::Reduce { reduce: Reduce::Prod, .. } => Yes;
    Op::ArgReduce { .. } => Integers;
    Op::CumSum { .. } => Yes;
    Op::CumProd { .. } => Yes;
    Op::ArgSort { .. } => Integers;
    Op::TopK { .. } => Integers;
    Op::Cat { .. } => Yes;
    Op::Gather { .. } => Yes;
    Op::IndexSelect { .. } => Yes;
    Op::Scatter { .. } => Yes;
    Op::ScatterAdd { .. } => Yes;
    Op::Matmul => Yes;
    Op::MaxIndices { .. } => Integers;
    Op::Linear => Yes;
    Op::Embedding { .. } => Yes;
    Op::Softmax { .. } => Yes;
    Op::LogSoftmax { .. } => Yes;
    Op::RmsNorm { .. } => Yes;
    Op::LayerNorm { .. } => Yes;
    Op::Rope { .. } => Yes;
    Op::Attention { .. } => Yes;
    Op::Gated(Gate::Silu) => Yes;
    Op::Gated(Gate::Gelu) => Yes;
    Op::Gated(Gate::GeluTanh) => Yes;
    Op::Gated(Gate::Relu) => Yes;
    Op::Linears { .. } => Yes;
    Op::GatedLinears { .. } => Yes;
    Op::LinearAdd => Yes;
    Op::RmsNormAdd { .. } => Yes;
    Op::Heads(_) => Yes;
    Op::Sample(_) => Elsewhere("random: src/op/sample.rs, src/backend/webgpu/tests.rs");
    Op::Conv(_) => Yes;
    Op::ConvTranspose(_) => Yes;
    Op::Rfft => Yes;
    Op::Irfft { .. } => Yes;
    Op::Custom(_) => Elsewhere("tests/custom_op.rs");
}

macro_rules! views {
    ($($pattern:pat,)*) => {
        fn name_of_view(view: &ViewOp) -> &'static str {
            match view { $($pattern => stringify!($pattern),)* }
        }
        /// Kinds of views; each has a gradient.
        const VIEWS: &[&str] = &[$(stringify!($pattern)),*];
    };
}
views! {
    ViewOp::Reshape,
    ViewOp::Permute(_),
    ViewOp::Narrow { .. },
    ViewOp::Broadcast,
    ViewOp::Unfold { .. },
    ViewOp::Step { .. },
}

/// Operations of cases with floating inputs that have no gradient.
const WITHOUT_GRADIENT: &[(&str, &[&str])] = &[
    (
        "indices",
        &[
            "argmax",
            "argmin",
            "argsort",
            "max_dim_index",
            "median_index",
            "min_dim_index",
            "max_pool2d_indices",
            "nonzero",
            "bucketize",
            "searchsorted",
        ],
    ),
    (
        "truth",
        &[
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "eq_scalar",
            "ne_scalar",
            "lt_scalar",
            "le_scalar",
            "gt_scalar",
            "ge_scalar",
            "all",
            "any",
            "isclose",
            "isin",
            "isfinite",
            "isinf",
            "isnan",
            "logical_and",
            "logical_not",
            "logical_or",
            "logical_xor",
        ],
    ),
    ("counts and sets, as in PyTorch", &["bincount", "count_nonzero", "norm_0", "unique", "unique_counts"]),
    ("bits", &["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_left_shift", "bitwise_right_shift"]),
    (
        "made of nothing but sizes and numbers",
        &[
            "zeros_like",
            "ones_like",
            "full_like",
            "zeros",
            "ones",
            "full",
            "arange",
            "arange_step",
            "eye",
            "tril_mask",
            "triu_mask",
            "linspace",
            "logspace",
            "one_hot",
        ],
    ),
];

/// Public functions of `Tensor` that no case calls, and why.
const NOT_OPERATIONS: &[(&str, &[&str])] = &[
    (
        "what a tensor is",
        &["shape", "dims", "dtype", "device", "layout", "rank", "elements", "dim", "dims1", "dims2", "dims3", "dims4"],
    ),
    ("making tensors of given values, as every case does", &["new", "from_slice", "from_buffer"]),
    ("unspecified values", &["empty"]),
    (
        "random: src/tensor/random.rs tests them by their distributions and seeds",
        &[
            "bernoulli",
            "multinomial",
            "rand",
            "rand_like",
            "randint",
            "randn",
            "randn_like",
            "randperm",
            "global",
            "manual_seed",
            "state",
            "set_state",
        ],
    ),
    (
        "reading, as every comparison does: src/tensor/tests.rs",
        &[
            "to_vec",
            "to_vec_sync",
            "to_vec2",
            "to_vec2_sync",
            "to_vec3",
            "to_vec3_sync",
            "to_scalar",
            "to_scalar_sync",
            "item",
            "item_sync",
            "to_buffer",
            "to_buffer_sync",
            "to_device",
        ],
    ),
    (
        "forms without waiting of what cases await: their examples",
        &["masked_select_sync", "nonzero_sync", "unique_sync"],
    ),
    ("`all` of `isclose`, read: its example", &["allclose", "allclose_sync"]),
    ("any operation; all methods call it", &["apply"]),
];

/// The names of one of the lists above.
fn listed(lists: &[(&str, &[&'static str])]) -> BTreeSet<&'static str> {
    lists.iter().flat_map(|(_, names)| names.iter().copied()).collect()
}

/// The processor, noting what it runs.
struct Noting {
    cpu: CpuBackend,
    seen: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Backend for Noting {
    fn name(&self) -> &'static str {
        self.cpu.name()
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
    fn upload(&self, bytes: Buffer, dtype: DType, shape: &Shape) -> Result<Storage> {
        self.cpu.upload(bytes, dtype, shape)
    }
    fn execute(&self, op: &Op, inputs: &[View<'_>], out: &Meta) -> Result<Option<Storage>> {
        self.seen.lock().unwrap().insert(name_of(op));
        self.cpu.execute(op, inputs, out)
    }
    fn write_slice(&self, target: Storage, layout: &Layout, source: &View<'_>) -> Result<Storage> {
        self.cpu.write_slice(target, layout, source)
    }
    fn read(&self, view: View<'_>) -> Reading {
        self.cpu.read(view)
    }
}

fn cases() -> Vec<Case> {
    let open = |&(room, bytes, _): &_| pollster::block_on(open(room, bytes)).unwrap().1;
    calls::ROOMS.iter().flat_map(open).collect()
}

fn missing<'a>(wanted: impl Iterator<Item = &'a str>, found: &BTreeSet<&str>) -> Vec<&'a str> {
    wanted.filter(|name| !found.contains(name)).collect()
}

/// Runs every case, and looks at what was executed and at what its gradient goes back through (that the gradient is right
/// is the suite's business).
#[test]
fn every_operation_runs_and_has_its_gradient_taken() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let device = Device::of(Arc::new(Noting { cpu: CpuBackend::new(), seen: seen.clone() }));
    let mut differentiated = BTreeSet::new();
    for case in cases() {
        let make = |spec| -> Result<Tensor> {
            let made = Arrangement::Contiguous.arrange(&input(spec, &device)?)?.expect("it changes nothing");
            Ok(if case.gradient.is_some() { made.requires_grad() } else { made })
        };
        let inputs = case.inputs.iter().map(make).collect::<Result<Vec<_>>>().unwrap();
        let inputs: Vec<_> = inputs.iter().collect();
        let results = pollster::block_on(calls::run(&case.op, &case.args, &inputs)).unwrap();
        for step in steps(&results.direct) {
            match step {
                MadeBy::Op(op) => differentiated.insert(name_of(op)),
                MadeBy::View(view) => differentiated.insert(name_of_view(view)),
                MadeBy::WriteSlice { .. } | MadeBy::Checkpoint(_) => continue,
            };
        }
    }
    let own = OPERATIONS.iter().filter(|(_, gradient)| !matches!(gradient, Elsewhere(_)));
    let executed = missing(own.map(|(name, _)| *name), &seen.lock().unwrap());
    assert!(executed.is_empty(), "no case executes {executed:?}");
    let with_gradient = OPERATIONS.iter().filter(|(_, gradient)| *gradient == Yes).map(|(name, _)| *name);
    let without = missing(with_gradient.chain(VIEWS.iter().copied()), &differentiated);
    assert!(without.is_empty(), "no case takes the gradient of {without:?}");
    let integers = OPERATIONS.iter().filter(|(_, gradient)| *gradient == Integers);
    let tracked: Vec<_> = integers.filter(|(name, _)| differentiated.contains(name)).collect();
    assert!(tracked.is_empty(), "tracked although their results are integers: {tracked:?}");
}

/// Every name that cases call has a case with a gradient, or stands in [`WITHOUT_GRADIENT`].
#[test]
fn every_call_has_a_gradient_or_is_known_to_have_none() {
    let cases = cases();
    let with: BTreeSet<_> = cases.iter().filter(|c| c.gradient.is_some()).map(|c| &*c.op).collect();
    let all: BTreeSet<_> = cases.iter().map(|c| &*c.op).collect();
    let known = listed(WITHOUT_GRADIENT);
    let without: Vec<_> = all.difference(&with).filter(|op| !known.contains(*op)).collect();
    assert!(without.is_empty(), "no gradient is compared of {without:?}");
    let wrong: Vec<_> = known.iter().filter(|op| with.contains(*op) || !all.contains(*op)).collect();
    assert!(wrong.is_empty(), "listed as without gradient, but have one or are no cases: {wrong:?}");
}

/// Rust source without comments and the contents of string literals.
fn code(source: &str) -> String {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    text.split('"').step_by(2).collect()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect()
}

fn sources(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| code(&fs::read_to_string(path).unwrap())).collect()
}

/// The public functions that a source file defines, those made by macros (`name => …;` and `name other Op;`) too.
fn public_functions(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in source.lines() {
        let text = line.trim_start();
        let after = ["pub fn ", "pub async fn "].iter().find_map(|start| text.strip_prefix(start));
        let is_name = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if let Some(after) = after {
            found.extend(after.split(['(', '<']).next().filter(is_name).map(str::to_string));
        } else if let (4, Some(entry)) = (line.len() - text.len(), text.strip_suffix(';')) {
            // What follows a comma is the example of the documentation.
            let parts: Vec<_> = entry.split(',').next().unwrap_or(entry).split_whitespace().collect();
            let names = match &parts[..] {
                [name, "=>", ..] => vec![*name],
                [name, other, op] if op.starts_with(char::is_uppercase) => vec![*name, *other],
                _ => Vec::new(),
            };
            if names.iter().all(is_name) {
                found.extend(names.into_iter().map(str::to_string));
            }
        }
    }
    found
}

#[test]
fn every_public_function_of_tensors_is_called() {
    let calls = sources("src/conformance/calls").join("\n");
    let called = words(&calls);
    let functions: BTreeSet<_> = sources("src/tensor").iter().flat_map(|source| public_functions(source)).collect();
    for name in ["neg", "sum_keepdim", "write_slice", "matmul", "lt_scalar"] {
        assert!(functions.contains(name), "{name} was not found: is the source read rightly?");
    }
    let exempt = listed(NOT_OPERATIONS);
    let uncalled: Vec<_> =
        functions.iter().map(|name| &**name).filter(|name| !called.contains(name) && !exempt.contains(name)).collect();
    assert!(uncalled.is_empty(), "no case calls {uncalled:?}");
    let gone: Vec<_> = exempt.iter().filter(|name| !functions.contains(**name)).collect();
    assert!(gone.is_empty(), "exempt, but there are no such functions: {gone:?}");
}

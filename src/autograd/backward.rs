//! Going back through the graph.

use super::{
    Gradients, no_grad,
    node::{MadeBy, Node, Step},
    view::ViewOp,
};
use crate::{
    error::{Error, Result},
    op::{Backward, Op},
    tensor::Tensor,
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Which gradients are wanted.
pub(super) enum Wanted<'a> {
    /// Of every leaf.
    Leaves,
    /// Of these nodes, leaves or not; what does not lead to them is not computed.
    Nodes(&'a HashSet<u64>),
}

/// Runs backward from `roots` (tensors with the gradients they are given).
///
/// Nodes are processed by falling number, each once, when all of its gradient has arrived.
pub(super) fn run(roots: &[(Tensor, Tensor)], wanted: &Wanted<'_>, create_graph: bool) -> Result<Gradients> {
    if !create_graph {
        return no_grad(|| walk(roots, wanted, false));
    }
    super::with_grad(|| walk(roots, wanted, true))
}

fn walk(roots: &[(Tensor, Tensor)], wanted: &Wanted<'_>, create_graph: bool) -> Result<Gradients> {
    let useful = match wanted {
        Wanted::Leaves => None,
        Wanted::Nodes(ids) => Some(leading_to(roots, ids)),
    };
    let useful = |node: &Node| useful.as_ref().is_none_or(|set| set.contains(&node.id()));
    let mut found = Gradients::default();
    let mut pending: BTreeMap<u64, (Tensor, Tensor)> = BTreeMap::new();
    for (root, grad) in roots {
        add(&mut pending, root, grad.clone())?;
    }
    while let Some((id, (tensor, grad))) = pending.pop_last() {
        let Some(node) = tensor.node() else { continue };
        let step = node.made_by();
        let keep = match wanted {
            Wanted::Leaves => step.is_none(),
            Wanted::Nodes(ids) => ids.contains(&id),
        };
        if keep {
            found.add(id, grad.clone())?;
        }
        let Some(step) = step else { continue };
        let needs: Vec<bool> = step.inputs.iter().map(|x| x.node().is_some_and(|n| useful(n))).collect();
        let captured = matches!(step.made_by, MadeBy::Checkpoint(_));
        if !captured && !needs.contains(&true) {
            continue;
        }
        if let (MadeBy::View(ViewOp::Narrow { dim, start }), false) = (&step.made_by, create_graph) {
            add_part(&mut pending, &step.inputs[0], &grad, *dim, *start)?;
            continue;
        }
        let grads = step_gradient(step, &tensor, &grad, &needs, (wanted, create_graph), &mut found)?;
        for ((x, grad), needed) in step.inputs.iter().zip(grads).zip(&needs) {
            let Some(grad) = grad.filter(|_| *needed) else { continue };
            check(step, x, &grad)?;
            add(&mut pending, x, grad)?;
        }
    }
    Ok(found)
}

/// The nodes from which one of `targets` is reached.
fn leading_to(roots: &[(Tensor, Tensor)], targets: &HashSet<u64>) -> HashSet<u64> {
    let mut reached: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
    let mut left: Vec<Arc<Node>> = roots.iter().filter_map(|(t, _)| t.node().cloned()).collect();
    while let Some(node) = left.pop() {
        if reached.contains_key(&node.id()) {
            continue;
        }
        let inputs = node.made_by().map_or(&[][..], |step| &step.inputs);
        left.extend(inputs.iter().filter_map(|t| t.node().cloned()));
        reached.insert(node.id(), node);
    }
    let mut useful = HashSet::new();
    for (id, node) in reached {
        let captures = node.made_by().is_some_and(|step| matches!(step.made_by, MadeBy::Checkpoint(_)));
        let through = |step: &Step| step.inputs.iter().any(|t| t.node().is_some_and(|n| useful.contains(&n.id())));
        if targets.contains(&id) || captures || node.made_by().is_some_and(through) {
            useful.insert(id);
        }
    }
    useful
}

fn add(pending: &mut BTreeMap<u64, (Tensor, Tensor)>, tensor: &Tensor, grad: Tensor) -> Result<()> {
    let Some(node) = tensor.node() else { return Ok(()) };
    let sum = match pending.remove(&node.id()) {
        Some((_, before)) => before.add(&grad)?,
        None => grad,
    };
    pending.insert(node.id(), (tensor.clone(), sum));
    Ok(())
}

/// Adds the gradient of a part of `tensor`, in place: of many parts (the steps of a sequence, the gates of a cell) each costs
/// its own size, not that of the whole.
fn add_part(
    pending: &mut BTreeMap<u64, (Tensor, Tensor)>,
    tensor: &Tensor,
    grad: &Tensor,
    dim: usize,
    start: usize,
) -> Result<()> {
    let Some(node) = tensor.node() else { return Ok(()) };
    let at = dim as isize;
    let sum = match pending.remove(&node.id()) {
        Some((_, before)) => {
            let part = before.narrow(at, start, grad.dims()[dim])?.add(grad)?;
            before.write_slice(at, start, &part)?
        }
        None => Tensor::zeros(tensor.shape(), tensor.dtype(), tensor.device())?.write_slice(at, start, grad)?,
    };
    pending.insert(node.id(), (tensor.clone(), sum));
    Ok(())
}

/// A rule whose gradient does not fit its input is a mistake in the rule: named here, not three operations later.
fn check(step: &Step, x: &Tensor, grad: &Tensor) -> Result<()> {
    if grad.shape() == x.shape() && grad.dtype() == x.dtype() {
        return Ok(());
    }
    let (name, got) = (step.made_by.name(), format!("{} {}", grad.shape(), grad.dtype()));
    Err(Error::shape(name, format!("its gradient rule gave {got} for an input {} {}", x.shape(), x.dtype())))
}

fn step_gradient(
    step: &Step,
    output: &Tensor,
    grad: &Tensor,
    needs: &[bool],
    (wanted, create_graph): (&Wanted<'_>, bool),
    found: &mut Gradients,
) -> Result<Vec<Option<Tensor>>> {
    match &step.made_by {
        MadeBy::Op(op) => {
            let at = Backward { inputs: &step.inputs, output, grad, needs };
            match op.gradient(&at) {
                Some(grads) => grads,
                None => by_decomposition(op, &at, create_graph),
            }
        }
        MadeBy::View(view) => Ok(vec![Some(view.gradient(&step.inputs[0], grad)?)]),
        MadeBy::WriteSlice { dim, start } => {
            let dim = *dim as isize;
            let source = &step.inputs[1];
            let hole = || {
                let zeros = Tensor::zeros(source.shape(), source.dtype(), source.device())?;
                grad.clone().write_slice(dim, *start, &zeros)
            };
            let target = if needs[0] { Some(hole()?) } else { None };
            Ok(vec![target, Some(grad.narrow(dim, *start, source.dim(dim)?)?)])
        }
        MadeBy::Checkpoint(f) => {
            if create_graph {
                return Err(Error::argument("checkpoint", "has no gradient of its gradient; leave create_graph off"));
            }
            super::checkpoint::gradient(f, &step.inputs, grad, wanted, found)
        }
    }
}

/// The gradient of a fused operation that has no rule: that of its decomposition, computed anew.
fn by_decomposition(op: &Op, at: &Backward<'_>, create_graph: bool) -> Result<Vec<Option<Tensor>>> {
    // Stand-ins for the inputs: gradients stop at them, and with `create_graph` they lead on to the inputs.
    let stand_in = |(x, &needed): (&Tensor, &bool)| match (needed, create_graph) {
        (false, _) => x.detach(),
        (true, false) => x.detach().requires_grad(),
        (true, true) => x.alias(),
    };
    let inputs: Vec<_> = at.inputs.iter().zip(at.needs).map(stand_in).collect();
    let output = super::with_grad(|| op.decompose(&inputs.iter().collect::<Vec<_>>()));
    let output = output.unwrap_or_else(|| Err(Error::argument(op.name(), "has no gradient")))?;
    if !output.is_tracked() {
        return Err(Error::argument(op.name(), "has no gradient"));
    }
    let ids: HashSet<_> = inputs.iter().filter_map(|x| Some(x.node()?.id())).collect();
    let mut grads = run(&[(output, at.grad.clone())], &Wanted::Nodes(&ids), create_graph)?;
    Ok(inputs.iter().map(|x| grads.remove(x)).collect())
}

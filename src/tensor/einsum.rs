//! Sums of products in Einstein's notation.

use super::Tensor;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// A dimension's name: a letter, or a place counted from the right in what `...` stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Label {
    Ellipsis(usize),
    Letter(char),
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ellipsis(_) => f.write_str("..."),
            Self::Letter(letter) => write!(f, "{letter:?}"),
        }
    }
}

/// A tensor whose dimensions have different names.
struct Named {
    tensor: Tensor,
    labels: Vec<Label>,
}

fn fail<T>(equation: &str, why: impl std::fmt::Display) -> Result<T> {
    Err(Error::argument("einsum", format!("{equation:?}: {why}")))
}

impl Tensor {
    /// The sum of products that an equation names, as `torch.einsum`: letters name dimensions, those with one name go
    /// together, and those that the result does not name are summed. `...` stands for any number of dimensions, which
    /// broadcast. Without `->` the result names, in alphabetical order, the letters that occur once. More than two tensors are
    /// multiplied in the order given.
    ///
    /// ```
    /// use votive::{Device, Tensor};
    /// let a = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(Tensor::einsum("ij,jk->ik", &[&a, &a])?.to_vec_sync::<f32>()?, [7.0, 10.0, 15.0, 22.0]);
    /// assert_eq!(Tensor::einsum("ii", &[&a])?.to_vec_sync::<f32>()?, [5.0]);
    /// assert_eq!(Tensor::einsum("...i->i...", &[&a])?.to_vec_sync::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the equation does not fit the number of tensors or their dimensions, or sizes of one name differ.
    pub fn einsum(equation: &str, operands: &[&Tensor]) -> Result<Tensor> {
        let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = text.split_once("->").map_or((&text[..], None), |(left, right)| (left, Some(right)));
        let terms: Vec<_> = left.split(',').collect();
        if terms.len() != operands.len() {
            return fail(equation, format!("{} terms for {} tensors", terms.len(), operands.len()));
        }
        let mut named = Vec::new();
        for (term, &tensor) in terms.iter().zip(operands) {
            let labels = labels(equation, term, tensor.rank())?;
            named.push(without_repetition(equation, Named { tensor: tensor.clone(), labels })?);
        }
        let sizes = sizes(equation, &named)?;
        let result = match right {
            Some(term) => {
                let rank = sizes.keys().filter(|l| matches!(l, Label::Ellipsis(_))).count();
                let letters = term.replace("...", "").chars().count();
                let found = labels(equation, term, letters + if term.contains("...") { rank } else { 0 })?;
                for (i, label) in found.iter().enumerate() {
                    if !sizes.contains_key(label) {
                        return fail(equation, format!("the result names {label}, but no tensor does"));
                    }
                    if found[..i].contains(label) {
                        return fail(equation, format!("the result names {label} twice"));
                    }
                }
                found
            }
            None => {
                let times = |l: &Label| match l {
                    Label::Ellipsis(_) => 1,
                    Label::Letter(letter) => left.matches(*letter).count(),
                };
                let mut once: Vec<_> = sizes.keys().copied().filter(|l| times(l) == 1).collect();
                // Dimensions of `...` come first, the last of them being number 0.
                once.sort_by_key(|l| match l {
                    Label::Ellipsis(i) => (0, usize::MAX - i, *l),
                    Label::Letter(_) => (1, 0, *l),
                });
                once
            }
        };
        let mut rest = named.into_iter();
        let Some(mut product) = rest.next() else { return fail(equation, "no tensors") };
        while let Some(next) = rest.next() {
            let later: Vec<Label> = rest.as_slice().iter().flat_map(|n| n.labels.iter().copied()).collect();
            product = contract(product, next, &|l| result.contains(&l) || later.contains(&l))?;
        }
        let product = product.summed(|l| result.contains(&l))?;
        let order: Vec<_> = result.iter().filter_map(|l| product.labels.iter().position(|p| p == l)).collect();
        product.tensor.permute(order)
    }
}

/// The names in a term, for a tensor of `rank` dimensions.
fn labels(equation: &str, term: &str, rank: usize) -> Result<Vec<Label>> {
    let (before, after) = term.split_once("...").map_or((term, None), |(before, after)| (before, Some(after)));
    let letters: Vec<_> = before.chars().chain(after.unwrap_or("").chars()).collect();
    if let Some(other) = letters.iter().find(|c| !c.is_ascii_alphabetic()) {
        return fail(equation, format!("{other:?} is no letter"));
    }
    let hidden = rank.checked_sub(letters.len()).filter(|&n| n == 0 || after.is_some());
    let Some(hidden) = hidden else {
        return fail(equation, format!("{term:?} does not name {rank} dimensions"));
    };
    let (before, after) = letters.split_at(before.chars().count());
    let letters = |part: &[char]| part.iter().map(|&c| Label::Letter(c)).collect::<Vec<_>>();
    Ok([letters(before), (0..hidden).rev().map(Label::Ellipsis).collect(), letters(after)].concat())
}

/// Diagonals where a term names dimensions alike.
fn without_repetition(equation: &str, mut named: Named) -> Result<Named> {
    while let Some((i, j)) = repeated(&named.labels) {
        let (a, b) = (named.tensor.dims()[i], named.tensor.dims()[j]);
        if a != b {
            return fail(equation, format!("{} names dimensions of {a} and {b}", named.labels[i]));
        }
        named.tensor = named.tensor.diagonal(0, i as isize, j as isize)?;
        named.labels.remove(j);
        let label = named.labels.remove(i);
        named.labels.push(label);
    }
    Ok(named)
}

fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|j| Some((labels[..j].iter().position(|l| *l == labels[j])?, j)))
}

/// The size of each name; size 1 broadcasts.
fn sizes(equation: &str, named: &[Named]) -> Result<BTreeMap<Label, usize>> {
    let mut sizes = BTreeMap::new();
    for Named { tensor, labels } in named {
        for (&label, &size) in labels.iter().zip(tensor.dims()) {
            let known = sizes.entry(label).or_insert(size);
            if *known != size && *known != 1 && size != 1 {
                return fail(equation, format!("{label} names dimensions of {known} and {size}"));
            }
            *known = if *known == 1 { size } else { *known };
        }
    }
    Ok(sizes)
}

impl Named {
    fn size(&self, label: Label) -> Option<usize> {
        self.labels.iter().position(|l| *l == label).map(|i| self.tensor.dims()[i])
    }
    /// Summed over the names that need not stay.
    fn summed(self, stays: impl Fn(Label) -> bool) -> Result<Named> {
        let (labels, dims): (Vec<_>, Vec<_>) = self.labels.iter().zip(0..).partition(|(l, _)| stays(**l));
        if dims_of(&dims).is_empty() {
            return Ok(self);
        }
        // Integers stay of their dtype, as in a product.
        let tensor = self.tensor.sum(&dims_of(&dims)[..])?.to_dtype(self.tensor.dtype())?;
        Ok(Named { tensor, labels: labels.into_iter().map(|(l, _)| *l).collect() })
    }
    /// Without the dimensions of size 1 that the other tensor has larger.
    fn without_broadcast(self, other: &[(Label, usize)]) -> Result<Named> {
        let repeats = |l: Label, size: usize| size == 1 && other.iter().any(|&(o, n)| o == l && n != 1);
        let kept: Vec<_> = self.labels.iter().zip(self.tensor.dims()).filter(|&(&l, &n)| !repeats(l, n)).collect();
        let sizes: Vec<_> = kept.iter().map(|(_, n)| **n).collect();
        let labels = kept.into_iter().map(|(l, _)| *l).collect();
        Ok(Named { tensor: self.tensor.reshape(sizes)?, labels })
    }
    /// Dimensions in the order of names, each group joined into one.
    fn grouped(&self, groups: [&[Label]; 3]) -> Result<Tensor> {
        let order: Vec<_> = groups.concat().iter().filter_map(|l| self.labels.iter().position(|o| o == l)).collect();
        let joined = groups.map(|group| group.iter().filter_map(|&l| self.size(l)).product::<usize>());
        self.tensor.permute(order)?.reshape(joined)
    }
    fn named_sizes(&self) -> Vec<(Label, usize)> {
        self.labels.iter().copied().zip(self.tensor.dims().iter().copied()).collect()
    }
}

fn dims_of(pairs: &[(&Label, isize)]) -> Vec<isize> {
    pairs.iter().map(|(_, dim)| *dim).collect()
}

/// The product of two tensors, summed over the names that need not stay: a batch of matrix products.
fn contract(a: Named, b: Named, stays: &dyn Fn(Label) -> bool) -> Result<Named> {
    let (a_sizes, b_sizes) = (a.named_sizes(), b.named_sizes());
    let (a, b) = (a.without_broadcast(&b_sizes)?, b.without_broadcast(&a_sizes)?);
    let (in_a, in_b) = (a.labels.clone(), b.labels.clone());
    let a = a.summed(|l| stays(l) || in_b.contains(&l))?;
    let b = b.summed(|l| stays(l) || in_a.contains(&l))?;
    let shared = a.labels.iter().copied().filter(|l| b.labels.contains(l));
    let (batch, inner): (Vec<_>, Vec<_>) = shared.partition(|&l| stays(l));
    let own = |x: &Named, y: &Named| x.labels.iter().copied().filter(|l| !y.labels.contains(l)).collect::<Vec<_>>();
    let (rows, columns) = (own(&a, &b), own(&b, &a));
    let product = a.grouped([&batch, &rows, &inner])?.matmul(&b.grouped([&batch, &inner, &columns])?)?;
    let labels = [batch, rows, columns].concat();
    let sizes: Vec<_> = labels.iter().filter_map(|&l| a.size(l).or_else(|| b.size(l))).collect();
    Ok(Named { tensor: product.reshape(sizes)?, labels })
}

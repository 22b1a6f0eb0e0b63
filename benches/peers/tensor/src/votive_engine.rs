//! The cases in Votive.

use crate::{Case, Run, classes, layer, random};
use votive::{
    DType, Device, Tensor,
    nn::{
        Linear, Parameter,
        loss::{CrossEntropyOptions, cross_entropy},
        optim::{AdamW, Optimizer},
    },
    tensor::{ConvOptions, Padding},
};

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_slice(&values, shape, &Device::cpu()).unwrap()
}

fn values(x: &Tensor, wanted: bool) -> Vec<f32> {
    if wanted { x.to_vec_sync().unwrap() } else { Vec::new() }
}

pub fn run(case: Case) -> Run {
    match case {
        Case::Matmul(batch, m, k, n) => {
            let (a, b) = (random(batch * m * k, 1), random(batch * k * n, 2));
            let (a, b) = match batch {
                1 => (tensor(a, &[m, k]), tensor(b, &[k, n])),
                _ => (tensor(a, &[batch, m, k]), tensor(b, &[batch, k, n])),
            };
            Box::new(move |wanted| values(&a.matmul(&b).unwrap(), wanted))
        }
        Case::Softmax(rows, columns) => {
            let x = tensor(random(rows * columns, 1), &[rows, columns]);
            Box::new(move |wanted| values(&x.softmax(-1).unwrap(), wanted))
        }
        Case::LayerNorm(rows, columns) => {
            let x = tensor(random(rows * columns, 1), &[rows, columns]);
            let (w, b) = (tensor(random(columns, 2), &[columns]), tensor(random(columns, 3), &[columns]));
            Box::new(move |wanted| values(&x.layer_norm(&w, Some(&b), 1e-5).unwrap(), wanted))
        }
        Case::Conv2d(n, c, size, o) => {
            let x = tensor(random(n * c * size * size, 1), &[n, c, size, size]);
            let w = tensor(random(o * c * 9, 2), &[o, c, 3, 3]);
            let options = ConvOptions { padding: Padding::Zeros([1, 1]), ..Default::default() };
            Box::new(move |wanted| values(&x.conv2d(&w, None, &options).unwrap(), wanted))
        }
        Case::TrainingStep(batch, sizes) => {
            let x = tensor(random(batch * sizes[0], 1), &[batch, sizes[0]]);
            let targets = Tensor::from_slice(&classes(batch, sizes[3]), batch, &Device::cpu()).unwrap();
            let weight = |i: usize| tensor(layer(i, sizes[i], sizes[i + 1]), &[sizes[i + 1], sizes[i]]);
            let bias = |i: usize| Tensor::zeros(sizes[i + 1], DType::F32, &Device::cpu()).unwrap();
            let trained = |t: Tensor| Parameter::new(t);
            let layers = [0, 1, 2].map(|i| Linear::new(trained(weight(i)), Some(trained(bias(i)))));
            let all = layers.iter().flat_map(|l| [l.weight_parameter(), l.bias_parameter().unwrap()]);
            let mut optimiser = Optimizer::new(all.cloned().collect(), AdamW::default()).unwrap();
            Box::new(move |wanted| {
                let mut h = x.clone();
                for (i, layer) in layers.iter().enumerate() {
                    h = layer.forward(&h).unwrap();
                    h = if i < 2 { h.relu().unwrap() } else { h };
                }
                let loss = cross_entropy(&h, &targets, CrossEntropyOptions::default()).unwrap();
                optimiser.backward_step(&loss).unwrap();
                values(&loss, wanted)
            })
        }
    }
}

//! The cases in candle.

use crate::{Case, Run, classes, layer, random};
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(x: &Tensor, wanted: bool) -> Vec<f32> {
    if wanted { x.flatten_all().unwrap().to_vec1().unwrap() } else { Vec::new() }
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
            Box::new(move |wanted| values(&candle_nn::ops::softmax_last_dim(&x).unwrap(), wanted))
        }
        Case::LayerNorm(rows, columns) => {
            let x = tensor(random(rows * columns, 1), &[rows, columns]);
            let (w, b) = (tensor(random(columns, 2), &[columns]), tensor(random(columns, 3), &[columns]));
            Box::new(move |wanted| values(&candle_nn::ops::layer_norm(&x, &w, &b, 1e-5).unwrap(), wanted))
        }
        Case::Conv2d(n, c, size, o) => {
            let x = tensor(random(n * c * size * size, 1), &[n, c, size, size]);
            let w = tensor(random(o * c * 9, 2), &[o, c, 3, 3]);
            Box::new(move |wanted| values(&x.conv2d(&w, 1, 1, 1, 1).unwrap(), wanted))
        }
        Case::TrainingStep(batch, sizes) => {
            let x = tensor(random(batch * sizes[0], 1), &[batch, sizes[0]]);
            let targets = Tensor::from_vec(classes(batch, sizes[3]), batch, &Device::Cpu).unwrap();
            let weight = |i: usize| {
                Var::from_tensor(&tensor(layer(i, sizes[i], sizes[i + 1]), &[sizes[i + 1], sizes[i]])).unwrap()
            };
            let bias = |i: usize| Var::from_tensor(&tensor(vec![0.0; sizes[i + 1]], &[sizes[i + 1]])).unwrap();
            let layers: Vec<(Var, Var)> = (0..3).map(|i| (weight(i), bias(i))).collect();
            let all = layers.iter().flat_map(|(w, b)| [w.clone(), b.clone()]).collect();
            let mut optimiser = AdamW::new(all, ParamsAdamW { lr: 1e-3, ..Default::default() }).unwrap();
            Box::new(move |wanted| {
                let mut h = x.clone();
                for (i, (w, b)) in layers.iter().enumerate() {
                    h = h.matmul(&w.t().unwrap()).unwrap().broadcast_add(b).unwrap();
                    h = if i < 2 { h.relu().unwrap() } else { h };
                }
                let loss = candle_nn::loss::cross_entropy(&h, &targets).unwrap();
                optimiser.backward_step(&loss).unwrap();
                values(&loss, wanted)
            })
        }
    }
}

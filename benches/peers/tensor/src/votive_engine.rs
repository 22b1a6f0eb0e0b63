//! The cases in Votive.

use crate::{Case, Run, classes, layer, random};
use votive::{
    DType, Device, Tensor,
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
            let targets = Tensor::from_slice(&classes(batch, sizes[3]), [batch, 1], &Device::cpu()).unwrap();
            let weight = |i: usize| tensor(layer(i, sizes[i], sizes[i + 1]), &[sizes[i + 1], sizes[i]]);
            let bias = |i: usize| Tensor::zeros(sizes[i + 1], DType::F32, &Device::cpu()).unwrap();
            let mut layers: Vec<Tensor> = (0..3).flat_map(|i| [weight(i), bias(i)]).map(|t| t.requires_grad()).collect();
            let mut moments: Vec<(Tensor, Tensor)> =
                layers.iter().map(|p| (p.zeros_like().unwrap(), p.zeros_like().unwrap())).collect();
            let mut step = 0;
            Box::new(move |wanted| {
                let mut h = x.clone();
                for i in 0..3 {
                    h = h.linear(&layers[2 * i], Some(&layers[2 * i + 1])).unwrap();
                    h = if i < 2 { h.relu().unwrap() } else { h };
                }
                let loss = h.log_softmax(-1).unwrap().gather(-1, &targets).unwrap().mean(..).unwrap().neg().unwrap();
                let grads = loss.backward().unwrap();
                step += 1;
                for (p, (m, v)) in layers.iter_mut().zip(&mut moments) {
                    let g = grads.get(p).unwrap();
                    let w = p.detach();
                    *m = m.affine(0.9, 0.0).unwrap().add(&g.affine(0.1, 0.0).unwrap()).unwrap();
                    *v = v.affine(0.999, 0.0).unwrap().add(&g.sqr().unwrap().affine(0.001, 0.0).unwrap()).unwrap();
                    let (c1, c2) = (1.0 - 0.9f64.powi(step), 1.0 - 0.999f64.powi(step));
                    let d = v.affine(1.0 / c2, 0.0).unwrap().sqrt().unwrap().affine(1.0, 1e-8).unwrap();
                    let u = m.affine(1e-3 / c1, 0.0).unwrap().div(&d).unwrap();
                    *p = w.affine(1.0 - 1e-5, 0.0).unwrap().sub(&u).unwrap().requires_grad();
                }
                values(&loss, wanted)
            })
        }
    }
}

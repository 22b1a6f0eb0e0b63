//! The cases in burn, on its CPU backend.

use crate::{Case, Run, classes, layer, random};
use burn::{
    module::{Module, Param},
    nn::{Linear, LinearConfig, loss::CrossEntropyLossConfig},
    optim::{AdamWConfig, GradientsParams},
    tensor::{Device, Int, Tensor, TensorData, activation, module, ops::ConvOptions},
};

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(x: Tensor<D>, wanted: bool) -> Vec<f32> {
    if wanted { x.into_data().try_to_vec().unwrap() } else { Vec::new() }
}

#[derive(Module, Debug)]
struct Perceptron {
    layers: Vec<Linear>,
}

impl Perceptron {
    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            x = if i < 2 { activation::relu(x) } else { x };
        }
        x
    }
}

pub fn run(case: Case) -> Run {
    let device = Device::flex();
    match case {
        Case::Matmul(1, m, k, n) => {
            let a = tensor(random(m * k, 1), [m, k], &device);
            let b = tensor(random(k * n, 2), [k, n], &device);
            Box::new(move |wanted| values(a.clone().matmul(b.clone()), wanted))
        }
        Case::Matmul(batch, m, k, n) => {
            let a = tensor(random(batch * m * k, 1), [batch, m, k], &device);
            let b = tensor(random(batch * k * n, 2), [batch, k, n], &device);
            Box::new(move |wanted| values(a.clone().matmul(b.clone()), wanted))
        }
        Case::Softmax(rows, columns) => {
            let x = tensor(random(rows * columns, 1), [rows, columns], &device);
            Box::new(move |wanted| values(activation::softmax(x.clone(), 1), wanted))
        }
        Case::LayerNorm(rows, columns) => {
            let x = tensor(random(rows * columns, 1), [rows, columns], &device);
            let w = tensor(random(columns, 2), [columns], &device);
            let b = tensor(random(columns, 3), [columns], &device);
            let norm = move |x| module::layer_norm::<2>(x, w.clone(), Some(b.clone()), 1e-5);
            Box::new(move |wanted| values(norm(x.clone()), wanted))
        }
        Case::Conv2d(n, c, size, o) => {
            let x = tensor(random(n * c * size * size, 1), [n, c, size, size], &device);
            let w = tensor(random(o * c * 9, 2), [o, c, 3, 3], &device);
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            Box::new(move |wanted| values(module::conv2d(x.clone(), w.clone(), None, options.clone()), wanted))
        }
        Case::TrainingStep(batch, sizes) => {
            let device = device.autodiff();
            let x = tensor(random(batch * sizes[0], 1), [batch, sizes[0]], &device);
            let targets: Vec<i32> = classes(batch, sizes[3]).into_iter().map(|c| c as i32).collect();
            let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [batch]), &device);
            let layers = (0..3).map(|i| {
                let mut linear = LinearConfig::new(sizes[i], sizes[i + 1]).init(&device);
                let weight = tensor(layer(i, sizes[i], sizes[i + 1]), [sizes[i + 1], sizes[i]], &device);
                linear.weight = Param::from_tensor(weight.transpose());
                linear.bias = Some(Param::from_tensor(Tensor::zeros([sizes[i + 1]], &device)));
                linear
            });
            let mut model = Some(Perceptron { layers: layers.collect() });
            let mut optimiser = AdamWConfig::new().with_weight_decay(0.01).with_epsilon(1e-8).init();
            let criterion = CrossEntropyLossConfig::new().init(&device);
            Box::new(move |wanted| {
                let current = model.take().unwrap();
                let loss = criterion.forward(current.forward(x.clone()), targets.clone());
                let grads = GradientsParams::from_grads(loss.backward(), &current);
                model = Some(optimiser.step(1e-3, current, grads));
                values(loss, wanted)
            })
        }
    }
}

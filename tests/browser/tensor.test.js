// `votive/tensor`: the tensors of the package, in Node and, by the same checks, in Chromium.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { launch } from './harness.js';
import { ROOT, serve } from './server.js';

const DIST = path.join(ROOT, 'pkg-template/dist');

/** What PyTorch 1.13 gives for what `compute` does, rounded. */
const PYTORCH = {
  linear: [8.5, -1, -5.75, 2],
  loss: [8.62525],
  gradX: [-0.24998, -0.62495, 1.24991, 0.24989, 0.62473, -1.24946],
  softmax: [0.1185, 0.0059, 0.8756, 0.02912, 0.96438, 0.0065],
  variance: [6.33333, 6.58333],
  layerNorm: [0.16222, -1.29777, 1.13555, -0.31822, 1.35245, -1.03422],
  gelu: [0.84134, -0.0455, 2.99595, 0.34573, 3.99987, -0.15866],
  cumsum: [1, -1, 2, 0.5, 4.5, 3.5],
  attention: [0.50207, -0.99483, 1.98967, 0.99437, 0.23592, -0.47183],
  conv: [0, 3, -3, 16, 16, -4, 0, 13, 15],
  maxPool: [5, 7, 13, 15],
  interpolate: [2.5, 4.5, 10.5, 12.5],
  second: [48],
};

/** Runs in Node and in the page: takes nothing from outside. */
async function compute({ start, Tensor }) {
  await start();
  const results = {};
  const keep = async (name, tensor) => (results[name] = Array.from(await tensor.data()));
  const x = Tensor.from([[1, -2, 3], [0.5, 4, -1]]).requiresGrad();
  const w = Tensor.from([[0.5, -1, 2], [1, 0.25, -0.5]]).requiresGrad();
  const y = x.linear(w);
  await keep('linear', y);
  const loss = Tensor.crossEntropy(y, Tensor.from(new Uint32Array([1, 0])));
  await keep('loss', loss);
  const gradients = loss.backward();
  await keep('gradX', gradients.get(x));
  results.leaves = gradients.size;
  await keep('softmax', x.softmax());
  await keep('variance', x.var(1));
  await keep('layerNorm', x.layerNorm(Tensor.ones([3])));
  await keep('gelu', x.gelu());
  await keep('cumsum', x.cumsum(-1));
  const heads = (tensor) => tensor.reshape([1, 1, 2, 3]);
  await keep('attention', heads(x).attention(heads(w), heads(w)));
  const image = Tensor.arange(0, 16).reshape([1, 1, 4, -1]);
  await keep('conv', image.conv2d(Tensor.from([[[[1, 0], [-1, 2]]]]), null, { stride: 2, padding: 1 }));
  await keep('maxPool', image.maxPool2d(2));
  await keep('interpolate', image.interpolate({ size: [2, 2] }, 'bilinear'));
  const a = Tensor.from(2).requiresGrad();
  const [first] = Tensor.grad([a.pow(4)], [a], null, true);
  await keep('second', Tensor.grad([first], [a])[0]);
  return results;
}

/** The same: what is not arithmetic. */
async function behave({ start, Tensor, VotiveError }) {
  await start();
  const failure = (work) => {
    try {
      work();
    } catch (error) {
      return { code: error.code, message: error.message, isVotive: error instanceof VotiveError };
    }
    return undefined;
  };
  const results = {};
  const types = ['f32', 'f16', 'bf16', 'f64', 'i64', 'i32', 'u32', 'u8'];
  results.arrays = [];
  for (const dtype of types) {
    const data = await Tensor.from([[1, 2], [3, 250]], { dtype }).data();
    results.arrays.push([dtype, data.constructor.name, Array.from(data, String).join()]);
  }
  results.bigints = await Tensor.from([2n ** 53n + 1n]).toArray().then(String);
  results.booleans = Tensor.from([true, false]).dtype;
  results.from = [Tensor.from(new Int32Array([1, 2, 3, 4]), { shape: [2, 2] }).dtype, Tensor.from(3).shape.length, Tensor.from([[], []]).shape.join()];
  results.nested = await Tensor.arange(0, 6).reshape([2, 3]).t().toArray();
  results.index = await Tensor.arange(0, 12).reshape([3, 4]).i(1, { start: 1, end: 3 }).toArray();
  results.printed = Tensor.from([[1, 2]]).toString();
  const before = Tensor.count;
  const gone = Tensor.zeros([2]);
  results.counted = Tensor.count - before;
  gone.dispose();
  gone.dispose();
  results.countedAfter = Tensor.count - before;
  results.disposed = failure(() => gone.add(1));
  results.disposedArgument = failure(() => Tensor.cat([Tensor.zeros([2]), gone]));
  results.shapes = failure(() => Tensor.zeros([2, 3]).matmul(Tensor.zeros([4, 5])));
  results.argument = failure(() => Tensor.zeros([2]).sum('a'));
  results.option = failure(() => Tensor.zeros([1, 1, 4]).conv1d(Tensor.zeros([1, 1, 2]), null, { strides: 2 }));
  results.tooMany = failure(() => Tensor.zeros([2]).exp(1));
  results.ragged = failure(() => Tensor.from([[1, 2], [3]]));
  results.noNumber = failure(() => Tensor.from(['1']));
  results.fraction = failure(() => Tensor.from([1.5], { dtype: 'i32' }));
  results.untracked = failure(() => Tensor.from(1).backward());
  results.made = failure(() => new Tensor());
  const leaf = Tensor.from([1, 2]).requiresGrad();
  results.tracked = [leaf.mul(2).isTracked, Tensor.noGrad(() => leaf.mul(2)).isTracked, leaf.detach().isTracked];
  results.thrown = failure(() => Tensor.noGrad(() => Tensor.zeros([1]).reshape([7])));
  results.afterThrow = leaf.mul(2).isTracked;
  results.clipped = await leaf.mul(leaf).sum().backward().clipNorm(1).item();
  Tensor.manualSeed(7);
  const drawn = await Tensor.randn([4]).toArray();
  Tensor.manualSeed(7);
  results.seeded = drawn.join() === (await Tensor.randn([4]).toArray()).join();
  results.waited = [await Tensor.from([0, 3, 0, 5]).nonzero().then((t) => t.toArray()), await Tensor.zeros([2]).allclose(Tensor.zeros([2]))];
  const names = (target, own) => Object.getOwnPropertyNames(target).filter((name) => typeof Object.getOwnPropertyDescriptor(target, name).value === 'function' && !own.includes(name));
  results.methods = names(Tensor.prototype, ['constructor']).length;
  results.functions = names(Tensor, []).length;
  return results;
}

function checkComputed(found) {
  for (const [name, wanted] of Object.entries(PYTORCH)) {
    assert.equal(found[name].length, wanted.length, name);
    // f32, and PyTorch's values are rounded to five places.
    wanted.forEach((value, i) => assert.ok(Math.abs(found[name][i] - value) <= 2e-5 * Math.max(1, Math.abs(value)), `${name}[${i}]: ${found[name][i]} is not ${value}`));
  }
  assert.equal(found.leaves, 2);
}

function checkBehaviour(found) {
  assert.deepEqual(found.arrays, [
    ['f32', 'Float32Array', '1,2,3,250'],
    ['f16', 'Float32Array', '1,2,3,250'],
    ['bf16', 'Float32Array', '1,2,3,250'],
    ['f64', 'Float64Array', '1,2,3,250'],
    ['i64', 'BigInt64Array', '1,2,3,250'],
    ['i32', 'Int32Array', '1,2,3,250'],
    ['u32', 'Uint32Array', '1,2,3,250'],
    ['u8', 'Uint8Array', '1,2,3,250'],
  ]);
  assert.equal(found.bigints, '9007199254740993');
  assert.equal(found.booleans, 'u8');
  assert.deepEqual(found.from, ['i32', 0, '2,0']);
  assert.deepEqual(found.nested, [[0, 3], [1, 4], [2, 5]]);
  assert.deepEqual(found.index, [5, 6]);
  assert.equal(found.printed, 'tensor([[1., 2.]], shape=[1, 2], dtype=f32, device=cpu)');
  assert.deepEqual([found.counted, found.countedAfter], [1, 0]);
  const failures = {
    disposed: ['disposed', /disposed of/],
    disposedArgument: ['disposed', /disposed of/],
    shapes: ['input', /^matmul: \[2, 3\] x \[4, 5\]: inner dimensions 3 and 4 differ$/],
    argument: ['input', /^sum: dims must be a dimension or an array of dimensions, not "a"$/],
    option: ['input', /^conv1d: options must be { stride\?/],
    tooMany: ['input', /^exp: too many arguments: 1$/],
    ragged: ['input', /an array of 1 stands where others have 2/],
    noNumber: ['input', /must be numbers/],
    fraction: ['input', /1\.5 is not a whole number/],
    untracked: ['input', /not tracked/],
    made: ['input', /not by new/],
    thrown: ['input', /reshape/],
  };
  for (const [name, [code, message]] of Object.entries(failures)) {
    assert.equal(found[name]?.code, code, name);
    assert.match(found[name].message, message);
    assert.ok(found[name].isVotive, name);
  }
  assert.deepEqual(found.tracked, [true, false, false]);
  assert.equal(found.afterThrow, true);
  assert.ok(Math.abs(found.clipped - Math.sqrt(20)) < 1e-5);
  assert.equal(found.seeded, true);
  assert.deepEqual(found.waited, [[[1], [3]], true]);
  assert.ok(found.methods > 200 && found.functions > 25, `${found.methods} methods, ${found.functions} functions`);
}

describe('tensors in Node', async () => {
  const votive = await import(pathToFileURL(path.join(DIST, 'tensor.js')));
  test('nothing works before start', () => assert.throws(() => votive.Tensor.from([1]), { code: 'input', message: /await start/ }));
  test('values and gradients are those of PyTorch', async () => checkComputed(await compute(votive)));
  test('types, errors, memory, random numbers', async () => checkBehaviour(await behave(votive)));
  test('a small network learns', async () => {
    const { Tensor } = votive;
    Tensor.manualSeed(1);
    const x = Tensor.from([[0, 0], [0, 1], [1, 0], [1, 1]]);
    const target = Tensor.from([[0], [1], [1], [0]]);
    let parameters = [Tensor.randn([8, 2]), Tensor.zeros([8]), Tensor.randn([1, 8]), Tensor.zeros([1])].map((p) => p.requiresGrad());
    let last;
    for (let step = 0; step < 500; step++) {
      const [w1, b1, w2, b2] = parameters;
      const loss = Tensor.mseLoss(x.linear(w1, b1).tanh().linear(w2, b2), target);
      const gradients = loss.backward();
      last = await loss.item();
      parameters = Tensor.noGrad(() => parameters.map((p) => p.sub(gradients.get(p).mul(0.3)).requiresGrad()));
      gradients.dispose();
    }
    assert.ok(last < 0.01, `loss ${last} after 500 steps`);
  });
});

test('tensors in Chromium, in the page and in a Worker', async () => {
  const worker = `import * as votive from '/votive/tensor.js';\n${compute}\npostMessage(await compute(votive));`;
  const site = await serve({ '/votive/': DIST }, { '/run.html': '<!doctype html><title>tensors</title>' });
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${site.base}/run.html`);
    const run = (work) => page.evaluate(`import('/votive/tensor.js').then(${work})`);
    checkComputed(await run(compute));
    checkBehaviour(await run(behave));
    const inWorker = await page.evaluate(
      (source) =>
        new Promise((resolve, reject) => {
          const url = URL.createObjectURL(new Blob([source.replaceAll("'/votive/", `'${location.origin}/votive/`)], { type: 'text/javascript' }));
          const worker = new Worker(url, { type: 'module' });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = (event) => reject(new Error(event.message));
        }),
      worker,
    );
    checkComputed(inWorker);
  } finally {
    await browser.close();
    site.close();
  }
});

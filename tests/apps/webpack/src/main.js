import { TextModel } from 'votive';
import { start, Tensor } from 'votive/tensor';

const model = await TextModel.load(new URLSearchParams(location.search).get('model'));
const text = await model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text();
await start();
document.title = `${text}; the sum is ${await Tensor.from([1, 2, 7]).sum().item()}`;

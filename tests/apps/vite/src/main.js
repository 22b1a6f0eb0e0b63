import { TextModel } from 'votive';

const model = await TextModel.load(new URLSearchParams(location.search).get('model'));
document.title = await model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text();

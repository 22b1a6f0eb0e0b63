// Compiled, not run: the package's types as a strict application sees them.
import { AbortError, type ChatCompletionChunk, type GenerationResult, type LoadProgress, type Message, type Segment, TextModel, Transcriber, toSRT, VotiveError, clearCache, listCache } from 'votive';
import { type DType, start, Tensor } from 'votive/tensor';

export async function talk(file: File, signal: AbortSignal): Promise<GenerationResult> {
  const onProgress = ({ phase, loadedBytes, totalBytes }: LoadProgress) => console.log(phase, loadedBytes / totalBytes);
  using model = await TextModel.load('owner/name:Q4_K_M', { signal, onProgress, cache: 'reload', contextLength: 2048 });
  await using other = await TextModel.load([file]);
  const messages: Message[] = [{ role: 'user', content: 'Hello' }];
  for await (const text of model.chat(messages, { temperature: 0.7, stop: ['\n'] })) console.log(text.length);
  const session = other.createSession({ systemPrompt: 'Be brief.', maxTokens: 20 });
  console.log(await session.prompt('Hello', { signal }));
  const chunks: AsyncIterable<ChatCompletionChunk> = model.createChatCompletion({ messages, stream: true });
  for await (const { choices } of chunks) console.log(choices[0].delta.content?.length);
  console.log((await model.createChatCompletion({ messages })).choices[0].message.content.length);
  console.log((await listCache()).reduce((sum, { storedBytes }) => sum + storedBytes, 0), await clearCache());
  return model.generate('Once upon a time').result.catch((error: unknown) => {
    if (error instanceof AbortError || (error instanceof VotiveError && error.code === 'network')) return model.generate([1, 2, 3]).result;
    throw error;
  });
}

export async function listen(file: File, signal: AbortSignal): Promise<string> {
  using transcriber = await Transcriber.load('openai/whisper-base', { quantize: 'q8_0' });
  const segments: Segment[] = [];
  const { text, words, stats } = await transcriber.transcribe(file, { timestamps: 'word', language: 'de', signal, onSegment: (segment) => segments.push(segment) });
  console.log(text, words[0]?.start, stats.speed);
  const live = await transcriber.transcribe(await Transcriber.openMicrophone(), { until: signal, live: { pause: 1 }, onPartial: ({ committed }) => console.log(committed) });
  await transcriber.transcribe({ samples: new Float32Array(48_000), sampleRate: 48_000 }, { timestamps: false });
  return live.toVTT({ words: true }) + toSRT(segments);
}
// @ts-expect-error words, segments or nothing
void ((transcriber: Transcriber) => transcriber.transcribe('a.wav', { timestamps: 'letter' }));

// @ts-expect-error a message needs a role
void ((model: TextModel) => model.chat([{ content: 'Hello' }]));
// @ts-expect-error there is no such option
void ((model: TextModel) => model.generate('', { maxTokenz: 3 }));

export async function train(values: Float32Array, dtype: DType): Promise<Float32Array> {
  await start();
  using x = Tensor.from(values, { shape: [2, values.length / 2] });
  const w: Tensor = Tensor.randn([3, x.shape[1] ?? 0]).requiresGrad();
  const y = x.linear(w, null).softmax().toDtype(dtype).sum([0, 1], true);
  using gradients = y.backward(y.onesLike());
  const [top, places] = y.topk(1);
  console.log(top.dtype, await places.data('u32'), y.conv2d(w, null, { stride: 2, padding: 'same' }), `${y}`);
  return (gradients.get(w) ?? w).data('f32');
}
// @ts-expect-error a dimension is a number
void ((x: Tensor) => x.softmax('last'));
// @ts-expect-error there is no such operation
void ((x: Tensor) => x.softmost(0));
// @ts-expect-error tensors are not made by new
void (() => new Tensor());

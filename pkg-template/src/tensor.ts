// `votive/tensor`: the tensor core by itself. It runs where it is called: in a page, a Worker or Node.
import init, * as wasm from './votive_tensor_simd.js';
import type { DType, TensorFunctions, TensorMethods } from './votive_tensor_simd.js';
import { DisposedError, InputError, NetworkError, toVotiveError, UnsupportedError } from './errors.js';
import { isNode, nodeFileSystem, pathOf } from './storage/node.js';

export type {
  AttentionOptions,
  AvgPoolOptions,
  ConvOptions,
  ConvTransposeOptions,
  DType,
  Index,
  MaxPoolOptions,
  PadMode,
  StftOptions,
  TensorFunctions,
  TensorMethods,
  WindowOptions,
} from './votive_tensor_simd.js';
export { CrashError, DisposedError, type ErrorCode, InputError, OutOfMemoryError, UnsupportedError, VotiveError } from './errors.js';

/** The arrays that hold a tensor's elements; f16, bf16 and block formats are read as f32. */
export type TypedArray = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint32Array | Uint8Array;
/** The array that elements of a dtype are read into. */
export type DataOf<D extends DType> = D extends 'f64'
  ? Float64Array
  : D extends 'i64'
    ? BigInt64Array
    : D extends 'i32'
      ? Int32Array
      : D extends 'u32'
        ? Uint32Array
        : D extends 'u8'
          ? Uint8Array
          : Float32Array;
/** Numbers in arrays of arrays, all of one length at each depth. */
export type Nested = number | bigint | boolean | readonly Nested[];

const ARRAYS = { f32: Float32Array, f64: Float64Array, i64: BigInt64Array, i32: Int32Array, u32: Uint32Array, u8: Uint8Array } as const;
type PlainDType = keyof typeof ARRAYS;

let ready: Promise<unknown> | undefined;
let isReady = false;

/** Starts the WebAssembly module, once; to be awaited before anything else here is used. */
export async function start(): Promise<void> {
  ready ??= load();
  try {
    await ready;
  } catch (cause) {
    ready = undefined;
    if (cause instanceof WebAssembly.CompileError || typeof WebAssembly === 'undefined') {
      throw new UnsupportedError('This browser cannot run the engine: it needs WebAssembly with SIMD, and a content security policy that allows wasm-unsafe-eval', { cause });
    }
    throw new NetworkError(new URL('./votive_tensor_simd_bg.wasm', import.meta.url).href, 'the engine could not be loaded', undefined, { cause });
  }
}

async function load(): Promise<void> {
  const url = new URL('./votive_tensor_simd_bg.wasm', import.meta.url);
  await (isNode ? init({ module_or_path: await (await nodeFileSystem()).readFile(pathOf(url)) }) : init());
  wasm.setUp((handle: number) => new TensorObject(KEY, handle));
  // The table of the engine is the one list of operations: methods and functions are made of it.
  wasm.methodNames().forEach((name, index) => {
    const method = function (this: TensorObject, ...args: unknown[]): unknown {
      return call(() => wasm.callMethod(index, [this, ...args]), [this, ...args]);
    };
    Object.defineProperty(TensorObject.prototype, name, { value: method, configurable: true, writable: true });
  });
  wasm.functionNames().forEach((name, index) => {
    const value = (...args: unknown[]): unknown => call(() => wasm.callFunction(index, args), args);
    Object.defineProperty(TensorObject, name, { value, configurable: true, writable: true });
  });
  isReady = true;
}

/** Runs a call of the engine; its errors, and those of promises, become this package's. */
function call<T>(work: () => T, args: readonly unknown[] = []): T {
  if (!isReady) throw new InputError('The tensors are not ready: await start() first');
  refuseDisposed(args);
  try {
    const result = work();
    return (result instanceof Promise ? result.catch(rethrow) : result) as T;
  } catch (error) {
    return rethrow(error);
  }
}

function rethrow(error: unknown): never {
  throw toVotiveError(error);
}

function refuseDisposed(args: readonly unknown[]): void {
  for (const arg of args) {
    if (arg instanceof TensorObject && arg.isDisposed) throw new DisposedError('The tensor was disposed of');
    if (Array.isArray(arg)) refuseDisposed(arg);
  }
}

/** Only this module makes tensors of handles. */
const KEY = Symbol('votive.tensor');
/** Frees the memory of tensors that nobody refers to any more. When that happens is up to the JavaScript engine: dispose is better. */
const forgotten = new FinalizationRegistry<number>((handle) => wasm.release(handle));

class TensorObject {
  /** @internal The number by which the engine knows the tensor; 0 when it was disposed of. */
  handle: number;
  #shape: readonly number[] | undefined;

  /** @internal */
  constructor(key: symbol, handle: number) {
    if (key !== KEY) throw new InputError('Tensors are made by Tensor.from, Tensor.zeros and other functions, not by new');
    this.handle = handle;
    forgotten.register(this, handle, this);
  }

  /**
   * A tensor of the numbers in nested arrays, or in a typed array and a shape. Without a dtype it is that of the typed array; of
   * numbers f32, of bigints i64, of booleans u8.
   */
  static from(values: Nested, options?: { dtype?: DType }): Tensor;
  static from(values: TypedArray, options?: { shape?: readonly number[]; dtype?: DType }): Tensor;
  static from(values: Nested | TypedArray, { shape, dtype }: { shape?: readonly number[]; dtype?: DType } = {}): Tensor {
    const given = ArrayBuffer.isView(values) ? { data: values, shape: shape ?? [values.length] } : flatten(values, dtype);
    if (ArrayBuffer.isView(values)) checkShape(given.shape, given.data.length);
    const bytes = new Uint8Array(given.data.buffer, given.data.byteOffset, given.data.byteLength);
    const from = dtypeOfArray(given.data);
    const made = call(() => wasm.fromBytes(bytes, from, Uint32Array.from(given.shape)) as Tensor);
    if (dtype === undefined || dtype === from) return made;
    try {
      return made.toDtype(dtype);
    } finally {
      made.dispose();
    }
  }

  /** How many tensors are held: those neither disposed of nor collected. */
  static get count(): number {
    return call(() => wasm.tensorCount());
  }

  /** Calls `work`, whose operations are not recorded for gradients. */
  static noGrad<T>(work: () => T): T {
    let thrown: unknown;
    const result = call(() =>
      wasm.noGrad(() => {
        try {
          return work();
        } catch (error) {
          thrown = { error };
          return undefined;
        }
      }) as T,
    );
    if (thrown !== undefined) throw (thrown as { error: unknown }).error;
    return result;
  }

  /** The sizes of its dimensions. */
  get shape(): readonly number[] {
    this.#shape ??= Object.freeze([...this.#call(() => wasm.shapeOf(this))]);
    return this.#shape;
  }

  /** Number of dimensions. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  /** The type of its elements. */
  get dtype(): DType {
    return this.#call(() => wasm.dtypeOf(this) as DType);
  }

  /** Does a gradient flow through it: is it a leaf of `requiresGrad`, or was it computed from one? */
  get isTracked(): boolean {
    return this.#call(() => wasm.isTracked(this));
  }

  /** Was it disposed of? */
  get isDisposed(): boolean {
    return this.handle === 0;
  }

  /** Its elements in row-major order, as the array of its dtype or of the dtype given. */
  data(): Promise<TypedArray>;
  data<D extends DType>(dtype: D): Promise<DataOf<D>>;
  async data(dtype?: DType): Promise<TypedArray> {
    if (dtype === undefined || dtype === this.dtype) return this.#call(() => wasm.data(this) as Promise<TypedArray>);
    const other = (this as unknown as Tensor).toDtype(dtype);
    try {
      return await other.data();
    } finally {
      other.dispose();
    }
  }

  /** The number of a tensor of one element; a bigint of i64. */
  async item(): Promise<number | bigint> {
    if (this.size !== 1) throw new InputError(`item: a tensor of shape [${this.shape.join(', ')}] is not one element`);
    return (await this.data())[0] as number | bigint;
  }

  /** Its elements as nested arrays. */
  async toArray(): Promise<Nested> {
    const data = await this.data();
    let at = 0;
    const nest = (depth: number): Nested => (depth === this.rank ? (data[at++] as number | bigint) : Array.from({ length: this.shape[depth] as number }, () => nest(depth + 1)));
    return nest(0);
  }

  /**
   * Gradients of this tensor with respect to every leaf that it was computed from. A tensor of more than one element needs the
   * gradient to itself.
   */
  backward(gradient?: Tensor): Gradients {
    return new Gradients(this.#call(() => wasm.backward(this, gradient), gradient));
  }

  /** As PyTorch prints it. */
  toString(): string {
    return this.isDisposed ? 'Tensor (disposed of)' : this.#call(() => wasm.print(this));
  }

  /** Frees its memory, unless other tensors share it. Using it afterwards is an error; disposing again is not. */
  dispose(): void {
    if (this.handle === 0) return;
    forgotten.unregister(this);
    wasm.release(this.handle);
    this.handle = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #call<T>(work: () => T, ...args: unknown[]): T {
    return call(work, [this, ...args]);
  }
}

/** Gradients by the leaf that they belong to. */
export class Gradients {
  #inner: wasm.WasmGradients;

  /** @internal */
  constructor(inner: wasm.WasmGradients) {
    this.#inner = inner;
  }

  /** The gradient of a leaf; null when nothing depends on it. */
  get(leaf: Tensor): Tensor | null {
    return call(() => this.#inner.get(leaf) as Tensor | null, [leaf]);
  }

  /** Replaces the gradient of a leaf. */
  set(leaf: Tensor, gradient: Tensor): void {
    call(() => this.#inner.set(leaf, gradient), [leaf, gradient]);
  }

  /** How many there are. */
  get size(): number {
    return this.#inner.size;
  }

  /** Scales all so that the norm of them together is at most `max`; gives the norm before. */
  clipNorm(max: number, p = 2): Tensor {
    return call(() => this.#inner.clipNorm(max, p) as Tensor);
  }

  /** Limits every element to between `-limit` and `limit`. */
  clipValue(limit: number): void {
    call(() => this.#inner.clipValue(limit));
  }

  /** Frees their memory. */
  dispose(): void {
    this.#inner.free();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * An n-dimensional array. Operations give new tensors, views share memory and never copy. Memory is freed by `dispose()` (or
 * `using`), and some time after nobody refers to a tensor any more.
 */
export interface Tensor extends TensorObject, TensorMethods<Tensor> {}

/** What `Tensor` offers besides tensors: functions that make them, join them, differentiate. */
export interface TensorConstructor extends TensorFunctions<Tensor> {
  from(values: Nested, options?: { dtype?: DType }): Tensor;
  from(values: TypedArray, options?: { shape?: readonly number[]; dtype?: DType }): Tensor;
  /** Calls `work`, whose operations are not recorded for gradients. */
  noGrad<T>(work: () => T): T;
  /** How many tensors are held: those neither disposed of nor collected. */
  readonly count: number;
  readonly prototype: Tensor;
}

export const Tensor: TensorConstructor = TensorObject as unknown as TensorConstructor;

function dtypeOfArray(data: TypedArray): PlainDType {
  const found = (Object.keys(ARRAYS) as PlainDType[]).find((dtype) => data instanceof ARRAYS[dtype]);
  if (found === undefined) throw new InputError(`Tensor.from: a ${data.constructor.name} holds no elements of a dtype; known are Float32Array, Float64Array, BigInt64Array, Int32Array, Uint32Array and Uint8Array`);
  return found;
}

function checkShape(shape: readonly number[], length: number): void {
  const wanted = shape.reduce((product, size) => product * size, 1);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || wanted !== length) {
    throw new InputError(`Tensor.from: ${length} elements do not make the shape [${shape.join(', ')}]`);
  }
}

/** Nested arrays as one typed array and a shape. */
function flatten(values: Nested, dtype: DType | undefined): { data: TypedArray; shape: number[] } {
  const shape: number[] = [];
  for (let at: Nested | undefined = values; Array.isArray(at); at = at[0] as Nested | undefined) shape.push(at.length);
  const flat: (number | bigint | boolean)[] = [];
  const collect = (value: Nested, depth: number): void => {
    if (!Array.isArray(value)) {
      if (depth !== shape.length || !['number', 'bigint', 'boolean'].includes(typeof value)) throw new InputError('Tensor.from: the values must be numbers in arrays of one length at each depth');
      flat.push(value as number | bigint | boolean);
      return;
    }
    if (value.length !== shape[depth]) throw new InputError(`Tensor.from: an array of ${value.length} stands where others have ${shape[depth] ?? 'no elements'}`);
    for (const part of value) collect(part, depth + 1);
  };
  collect(values, 0);
  const kind = typeof (flat[0] ?? 0);
  if (!flat.every((value) => typeof value === kind)) throw new InputError('Tensor.from: numbers, bigints and booleans do not mix');
  const natural: PlainDType = kind === 'bigint' ? 'i64' : kind === 'boolean' ? 'u8' : 'f32';
  // Numbers go straight to the dtype wanted where it has an array, so that none is rounded on the way.
  const target = dtype !== undefined && dtype in ARRAYS ? (dtype as PlainDType) : kind === 'number' && dtype !== undefined ? 'f64' : natural;
  if (target === 'i64') return { data: BigInt64Array.from(flat, (value) => wholeNumber(value)), shape };
  const numbers = flat.map(Number);
  if (!target.startsWith('f')) numbers.forEach((value) => wholeNumber(value));
  return { data: ARRAYS[target as 'f32'].from(numbers), shape };
}

function wholeNumber(value: number | bigint | boolean): bigint {
  if (typeof value === 'number' && !Number.isInteger(value)) throw new InputError(`Tensor.from: ${value} is not a whole number`);
  return BigInt(value);
}

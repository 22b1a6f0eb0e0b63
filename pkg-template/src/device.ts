// Where a model runs: on the processor, or on the GPU through WebGPU.
import { InputError, UnsupportedError } from './errors.js';
import { availableBuilds } from './module.js';
import { keepText, keptText, MEASURED } from './storage/cache.js';
import type { AdapterInfo, Build, DeviceChoice, DeviceName, LoadOptions } from './types.js';

/** The parts of WebGPU that are used here. */
interface GpuAdapter {
  features: { has(name: string): boolean };
  limits: { maxBufferSize: number; maxStorageBufferBindingSize: number };
  info?: { vendor: string; architecture: string; device: string; description: string; isFallbackAdapter?: boolean };
  isFallbackAdapter?: boolean;
}
interface Gpu {
  requestAdapter(options: { powerPreference: 'high-performance' }): Promise<GpuAdapter | null>;
}

/** Emulations on the processor, as they call their architecture. */
const SOFTWARE = ['swiftshader', 'llvmpipe', 'lavapipe'];

/** The adapter, or why there is none. */
type Found = { adapter: AdapterInfo } | { obstacle: string };

async function find(): Promise<Found> {
  const gpu = (globalThis.navigator as { gpu?: Gpu } | undefined)?.gpu;
  if (!gpu) return { obstacle: globalThis.isSecureContext === false ? 'WebGPU needs a page that is served by https' : 'there is no WebGPU here (navigator.gpu)' };
  let adapter;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    return { obstacle: `the browser gives no WebGPU adapter: ${(error as Error).message}` };
  }
  if (!adapter) return { obstacle: 'the browser gives no WebGPU adapter: there is no GPU that it supports, or it is blocked or switched off' };
  const { vendor = '', architecture = '', device = '', description = '', isFallbackAdapter } = adapter.info ?? {};
  const parts = [vendor, architecture, device].filter((part) => part !== '');
  return {
    adapter: {
      name: description || parts.join(' ') || 'an adapter of which the browser tells nothing',
      software: (isFallbackAdapter ?? adapter.isFallbackAdapter ?? false) || SOFTWARE.includes(architecture),
      shaderF16: adapter.features.has('shader-f16'),
      subgroups: adapter.features.has('subgroups'),
      timestamps: adapter.features.has('timestamp-query'),
      matrices: adapter.features.has('chromium-experimental-subgroup-matrix'),
      maxBuffer: adapter.limits.maxBufferSize,
      maxBinding: adapter.limits.maxStorageBufferBindingSize,
    },
  };
}

/** What the GPU's adapter is and can do; `undefined` where there is none. */
export async function adapterInfo(): Promise<AdapterInfo | undefined> {
  const found = await find();
  return 'adapter' in found ? found.adapter : undefined;
}

/** The engines that can run here, for choosing or comparing: for each `true`, or why it cannot. */
export async function availableEngines(): Promise<Record<Build | 'webgpu', true | string>> {
  const found = await find();
  return { webgpu: 'adapter' in found ? true : found.obstacle, ...availableBuilds() };
}

const DEVICES = ['auto', 'webgpu', 'cpu'];

/** Refuses choices that contradict each other. */
export function checkDevice({ device, engine = 'auto', threads }: { [K in 'device' | 'engine' | 'threads']: LoadOptions[K] | undefined }): void {
  if (device !== undefined && !DEVICES.includes(device)) throw new InputError(`device has to be one of ${DEVICES.join(', ')}, not ${device}`);
  if (device === 'webgpu' && (threads !== undefined || engine !== 'auto')) throw new InputError("engine and threads are of the processor; they cannot be chosen with device 'webgpu'");
}

/** A device, and why it is that. */
export interface Decision {
  device: DeviceName;
  reason: string;
}

/** The device that is asked for; for `'auto'`, where only measuring can tell, the adapter to measure on. */
export async function decide(device: DeviceChoice, engine: string | undefined, canMeasure: boolean): Promise<Decision | { measureOn: AdapterInfo }> {
  if (device === 'cpu') return { device, reason: 'it was asked for' };
  if (device === 'auto' && engine !== undefined && engine !== 'auto') return { device: 'cpu', reason: `engine '${engine}' was asked for` };
  const found = await find();
  if (device === 'webgpu') {
    if ('obstacle' in found) throw new UnsupportedError(`device 'webgpu' cannot be used: ${found.obstacle}`);
    return { device, reason: 'it was asked for' };
  }
  if ('obstacle' in found) return { device: 'cpu', reason: found.obstacle };
  if (found.adapter.software) return { device: 'cpu', reason: `the WebGPU adapter (${found.adapter.name}) is an emulation on the processor` };
  if (!canMeasure) return { device: 'cpu', reason: 'for this kind of model the devices are not compared' };
  return { measureOn: found.adapter };
}

/** Milliseconds for a token on either device. */
interface Measured {
  cpu: number;
  webgpu: number;
}

/** The faster device by a measurement, which is kept under `key`: the next load need not measure. */
export async function faster(key: unknown, measure: (device: DeviceName) => Promise<number>): Promise<Decision> {
  const url = `${MEASURED}${JSON.stringify(key)}`;
  const kept = await keptText(url);
  let measured = kept === undefined ? undefined : (JSON.parse(kept) as Measured);
  if (!measured) {
    let webgpu;
    try {
      webgpu = await measure('webgpu');
    } catch (error) {
      return { device: 'cpu', reason: `WebGPU failed: ${(error as Error).message}` };
    }
    measured = { webgpu, cpu: await measure('cpu') };
    await keepText(url, JSON.stringify(measured), '');
  }
  const times = `a token takes about ${measured.webgpu.toFixed(1)} ms on the GPU and ${measured.cpu.toFixed(1)} ms on the processor`;
  return { device: measured.webgpu < measured.cpu ? 'webgpu' : 'cpu', reason: `measured: ${times}` };
}

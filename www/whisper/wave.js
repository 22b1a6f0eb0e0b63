// The waveform: peaks of the sound as it is read, and where the player is. It keeps a fixed number of peaks however long
// the sound is: when they run out, neighbours are joined.

const MOST = 4096;
/** Seconds of live sound shown. */
const LIVE_SECONDS = 12;

/** Connects the canvas. `onSeek` hears of clicks, in seconds. */
export function connectWave(canvas, onSeek) {
  let peaks = [];
  let step = 0.02; // seconds of a peak
  let current = 0;
  let filled = 0; // samples of the peak that is being made
  let position = 0;
  let total; // seconds, where it is known
  let live = false;
  let frame = 0;

  const seconds = () => (live ? LIVE_SECONDS : Math.max(total ?? 0, peaks.length * step, 1e-3));

  function draw() {
    frame = 0;
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const context = canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    // Custom properties come with light-dark() unresolved; these do not.
    const { color: accent, caretColor: soft } = getComputedStyle(canvas);
    const span = seconds();
    const from = live ? Math.max(0, peaks.length - LIVE_SECONDS / step) : 0;
    for (let x = 0; x < width; x += 3) {
      const begin = Math.floor(from + ((x / width) * span) / step);
      const end = Math.max(begin + 1, Math.floor(from + (((x + 3) / width) * span) / step));
      let peak = 0;
      for (let i = begin; i < Math.min(end, peaks.length); i++) peak = Math.max(peak, peaks[i]);
      if (begin >= peaks.length) break;
      const size = Math.max(2, Math.sqrt(peak) * (height - 10));
      context.fillStyle = live || (x / width) * span <= position ? accent : soft;
      context.beginPath();
      context.roundRect(x, (height - size) / 2, 2, size, 1);
      context.fill();
    }
  }

  const redraw = () => {
    frame ||= requestAnimationFrame(draw);
  };
  addEventListener('resize', redraw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  canvas.addEventListener('click', (event) => {
    if (!live && peaks.length) onSeek((event.offsetX / canvas.clientWidth) * seconds());
  });

  return {
    begin({ isLive, totalSeconds }) {
      [peaks, step, current, filled, position, total, live] = [[], 0.02, 0, 0, 0, totalSeconds, isLive];
      redraw();
    },
    /** Takes samples as they come. */
    push({ samples, sampleRate }) {
      for (let i = 0; i < samples.length; i++) {
        current = Math.max(current, Math.abs(samples[i]));
        if (++filled < step * sampleRate) continue;
        peaks.push(Math.min(current, 1));
        current = filled = 0;
        if (peaks.length < MOST) continue;
        if (live) peaks.splice(0, MOST / 2);
        else {
          peaks = Array.from({ length: MOST / 2 }, (_, k) => Math.max(peaks[2 * k], peaks[2 * k + 1]));
          step *= 2;
        }
      }
      redraw();
    },
    /** Where the player is, and how long the sound is. */
    at(seconds, totalSeconds) {
      position = seconds;
      if (Number.isFinite(totalSeconds)) total = totalSeconds;
      redraw();
    },
    /** Live sound is over: from now on all of it is shown. */
    settle() {
      live = false;
      redraw();
    },
  };
}

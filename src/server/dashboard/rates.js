// Rates of one model: differences of the counters that its server keeps. Pure.

export const kWindowSeconds = 120;  // that the plots show
const kHitSamples = 6;              // the hit rate and stalls are those of the last 5 seconds

const counters = (state) => ({
  pid: state.pid,
  bytes: state.reads.bytes,
  stall: state.reads.stall_seconds,
  uses: state.experts?.uses ?? 0,
  hits: state.experts?.hits ?? 0,
  generated: state.tokens.generated,
  generatedSeconds: state.tokens.generated_seconds,
});

export class Rates {
  #samples = [];  // {at, pid, bytes, ...}, oldest first, of one process
  points = [];    // {at, speed, drive}, oldest first; null: nothing known
  speed = null;   // of the last answer, tokens/s

  // `liveSpeed`: what this page measures of an answer under way, or null.
  add(at, state, liveSpeed) {
    const now = { at, ...counters(state) };
    const last = this.#samples.at(-1);
    if (last && (last.pid !== now.pid || now.bytes < last.bytes)) this.#samples = [];
    const before = this.#samples.at(-1);
    const point = { at, speed: liveSpeed, drive: null };
    this.points.push(point);
    if (before && at > before.at) {
      point.drive = (now.bytes - before.bytes) / (at - before.at);
      this.#addAnswers(before, now);
    }
    if (liveSpeed !== null) this.speed = liveSpeed;
    this.#samples.push(now);
    if (this.#samples.length > kHitSamples) this.#samples.shift();
    while (this.points[0].at < at - kWindowSeconds) this.points.shift();
  }

  // llama.cpp counts an answer when it ends: its mean speed is that of the seconds before.
  #addAnswers(before, now) {
    const tokens = now.generated - before.generated;
    const seconds = now.generatedSeconds - before.generatedSeconds;
    if (tokens <= 0 || seconds <= 0) return;
    this.speed = tokens / seconds;
    for (const point of this.points) {
      if (point.at > now.at - seconds - 1) point.speed ??= this.speed;
    }
  }

  // The server was gone: no line is drawn over that time.
  interrupt(at) {
    this.#samples = [];
    this.points.push({ at, speed: null, drive: null });
  }

  get drive() { return this.points.at(-1)?.drive ?? null; }

  #recent(amount) {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    return first && last.at > first.at ? amount(first, last) : null;
  }

  // Of the uses in the last seconds; null where there were none.
  get hitRate() {
    return this.#recent((first, last) =>
      last.uses > first.uses ? (last.hits - first.hits) / (last.uses - first.uses) : null);
  }

  get stallShare() {
    return this.#recent((first, last) =>
      Math.min(1, (last.stall - first.stall) / (last.at - first.at)));
  }
}

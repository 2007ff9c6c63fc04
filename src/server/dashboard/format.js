// Numbers as people read them. Memory in powers of 1024, rates of a drive in powers of 1000.

function scaled(value, step, units) {
  let unit = 0;
  while (value >= step && unit < units.length - 1) {
    value /= step;
    ++unit;
  }
  const fine = value < (unit >= 3 ? 100 : 10) && unit > 0;
  return [value.toFixed(fine ? 1 : 0), units[unit]];
}

export const bytesParts = (bytes) => scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
export const rateParts = (bytes) => scaled(bytes, 1000, ["B/s", "kB/s", "MB/s", "GB/s"]);
export const formatBytes = (bytes) => bytesParts(bytes).join(" ");
export const formatRate = (bytes) => rateParts(bytes).join(" ");

export function formatSpeed(tokensPerSecond) {
  if (tokensPerSecond >= 100) return tokensPerSecond.toFixed(0);
  return tokensPerSecond.toFixed(tokensPerSecond < 1 ? 2 : 1);
}

export function formatSeconds(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

export const formatCount = (count) => count.toLocaleString("en");

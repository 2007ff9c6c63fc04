#pragma once

#include <cstddef>
#include <cstdint>

namespace hypura::golden {

// Registers a GPU that the CPU plays: a device of that type with memory of its own, which no other
// device may touch, and the CPU's kernels. Once per process, in front of loading anything.
// `free_bytes` is what it says to have, `real_bytes` what it has: allocations beyond fail. With
// `unified` memory it also computes in what it is shown of RAM; an `integrated` one has RAM, and
// cannot be shown any; of `two` each has as much, and none may touch the other's; an `eventless`
// one has no events, so that copies take their turn with what computes, and cannot lock RAM.
enum class HostGpuKind { discrete, unified, integrated, two, eventless };
void register_host_gpu(uint64_t free_bytes, uint64_t real_bytes,
                       HostGpuKind kind = HostGpuKind::discrete);

// From here on it has `real_bytes`.
void limit_host_gpu(uint64_t real_bytes);

// From here on it locks RAM, as it does in the beginning, or refuses to.
void let_host_gpu_lock(bool allowed);

// The `graphs`-th graph from here on throws, as Vulkan's backend does where memory is out.
void break_host_gpu(uint64_t graphs);
// The same of the `copies`-th copy into what it has for weights.
void break_host_gpu_copies(uint64_t copies);

// Of its memory, now; of two, of both or of one of them.
uint64_t host_gpu_bytes();
uint64_t host_gpu_bytes(size_t gpu);
// Of RAM, shown to it by now.
uint64_t host_gpu_shown_bytes();
// Of RAM, locked for it now.
uint64_t host_gpu_locked_bytes();
// Graphs that it has computed.
uint64_t host_gpu_graphs();

}  // namespace hypura::golden

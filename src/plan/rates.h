#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "machine/profile.h"

namespace hypura {

// What a profile says about one way of working, between and beyond what was measured. All rates are
// decimal gigabytes a second; 0: not known.

// Rates of weights of one type. `expert` falls back to `token`.
struct KernelRates {
  double token = 0;
  double batch = 0;  // bytes of weights times tokens
  double expert = 0;
};

// Of the type's samples those with `threads`, else with the most. A type without samples borrows
// from the one whose weights have the nearest number of bits: kernels of equal width move about as
// many bytes. No token is computed faster than memory delivers its weights, so `memory_gbps` is a
// lid (0: none), and the answer where nothing is known.
KernelRates kernel_rates(const std::vector<ComputeSample>& samples, std::string_view type,
                         int threads, double memory_gbps);

// What `nodes` nodes of a graph cost beside their work, on `threads` threads (0, or a count that
// was not measured: the most). 0 where it is not known.
double nodes_seconds(const std::vector<NodeSample>& samples, int threads, double nodes);

struct ReadShape {
  uint64_t read_bytes = 0;
  double depth = 1;
  bool sequential = false;
};

// Between samples linear in the logarithms of size and depth, beyond them the nearest sample's.
double drive_gbps(const DriveProfile& drive, const ReadShape& shape);

// From asking to the first byte of an idle drive: the least latency of any sample.
double drive_latency_seconds(const DriveProfile& drive);

// The GPU by whose rates all are taken to compute: the first with memory of its own, or else the
// first. Where there is none, one of which nothing is known.
const GpuProfile& main_gpu(const MachineProfile& machine);

}  // namespace hypura

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hypura {

// All rates are decimal gigabytes (1e9 bytes) a second, sizes bytes, times seconds unless named
// otherwise. 0 means: not known.

// One way of reading, measured with direct reads of `read_bytes`, `depth` of them in flight.
struct DriveSample {
  uint32_t read_bytes = 0;
  uint32_t depth = 0;
  bool sequential = false;  // in the order of the file, else scattered
  double gbps = 0;          // median
  double spread = 0;        // (slowest to fastest quarter) / median
  double latency_us = 0;    // of one read, median
};

// The drive that holds the model.
struct DriveProfile {
  std::string device;      // "vda", "nvme0n1"
  std::string filesystem;  // "ext4"
  bool direct = false;     // direct reads work
  std::vector<DriveSample> samples;
  double sequential_gbps = 0;  // at the knee, the least depth within 5 % of the best
  double scattered_gbps = 0;   // reads of 1 MiB, at the same depth
  uint32_t knee_depth = 0;
  double cached_gbps = 0;      // from the page cache, by copying
  double paged_gbps = 0;       // by page faults of a mapping, not cached: what mmap gets
  double spread = 0;           // of the sequential rate
  // Of the kernels' speed, what is left while the drive is read as fast as it can: its reads take
  // processor time and memory. Within 0 to 1.
  double beside_share = 0;
  double read_cpu_us = 0;  // processor time of whoever asks for a read of 1 MiB and takes it
};

// Weights of one ggml type multiplied by ggml's own kernels.
struct ComputeSample {
  std::string type;      // "q4_K"
  int threads = 0;
  double token_gbps = 0;   // one token: bytes of weights a second
  double batch_gbps = 0;   // 512 tokens: bytes of weights times tokens a second
  double expert_gbps = 0;  // MUL_MAT_ID, one token, experts of 1 MiB
  double spread = 0;       // of one token's: from the median to the fast, as a share
};

// What a node of a graph costs beside its work: a chain of additions of 1024 numbers.
struct NodeSample {
  int threads = 0;
  double node_us = 0;
};

struct MemoryProfile {
  uint64_t total_bytes = 0;
  uint64_t limit_bytes = 0;  // by a control group or container; 0: none
  double read_gbps = 0;      // all cores
  double touch_gbps = 0;     // memory that is new to the process becoming present, one thread
};

struct GpuProfile {
  std::string name;
  std::string backend;  // "CUDA", "Metal", "Vulkan"
  uint64_t total_bytes = 0;
  uint64_t working_set_bytes = 0;  // what may be used together
  double memory_gbps = 0;
  double upload_gbps = 0;  // from pinned RAM
  bool unified = false;    // shares the machine's RAM
  // With the GPU's own kernels. Empty: of a unified GPU MachineProfile::compute has them, of any
  // other one `memory_gbps` bounds them.
  std::vector<ComputeSample> compute;
};

// What was measured of a machine, or is known of one that we do not have. A value: made by the
// profiler, kept as JSON (machine/profile_json.h), read by the planner.
struct MachineProfile {
  static constexpr int kSchema = 1;

  std::string name;    // of a machine that ships with us: "m1-max-32gb"; else empty
  std::string source;  // "measured", or where the figures are from
  std::string date;    // ISO 8601
  std::string cpu;
  std::string system;  // "Linux 6.18.44"
  int cores = 0;           // physical ones that may be used
  int logical_cores = 0;
  std::vector<std::string> simd;  // "AVX2", "NEON"
  MemoryProfile memory;
  std::vector<ComputeSample> compute;
  double graph_overhead_us = 0;  // a call of a graph with one small node: threads woken and joined
  std::vector<NodeSample> nodes;
  DriveProfile drive;
  std::vector<GpuProfile> gpus;
  std::vector<std::string> warnings;  // noisy, throttled, buffered: for people
};

}  // namespace hypura

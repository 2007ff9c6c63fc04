#include "plan/gpu_batches.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/units.h"
#include "plan/gpu_copies.h"
#include "plan/rates.h"

namespace hypura {
namespace {

// Of the GPU, for batches, where they cost it layers.
constexpr uint64_t kRoomParts = 2;
// A document, or a conversation; of a micro-batch at least. Prompts are longer than answers.
constexpr uint32_t kPromptTokens = 2048;
constexpr double kPromptPerAnswer = 32;
// Of the usual micro-batch's seconds: short prompts, and answers, lose by a larger one.
constexpr double kClearly = 0.75;
// Of RAM's weights, what activations may take: decoding needs them.
constexpr uint64_t kRamParts = 4;
// How experts and rings are read.
constexpr ReadShape kReads{.read_bytes = kMiB, .depth = 32, .sequential = true};

// What is below a GPU, in bytes.
struct Below {
  double all = 0;
  double token = 0;          // that one token computes with
  double batch_seconds = 0;  // of the CPU's products with a micro-batch; 0: not known
};

Below below(const ModelIndex& index, const GpuShare& share, const BatchInput& input,
            const MachineProfile& machine) {
  const double used = static_cast<double>(index.info().expert_used_count);
  Below sum;
  bool known = true;
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    const TensorInfo& tensor = index.tensor(TensorId{i});
    if (tensor.layer < 0 || share.on_gpu[i]) continue;
    const double bytes = tensor.expert_count > 0 ? used * static_cast<double>(tensor.expert_bytes())
                                                 : static_cast<double>(tensor.bytes);
    const double rate = kernel_rates(machine.compute, type_name(tensor.type), input.threads,
                                     machine.memory.read_gbps)
                            .batch;
    known = known && rate > 0;
    if (rate > 0) sum.batch_seconds += 1e-9 * bytes * input.micro_batch / rate;
    sum.all += static_cast<double>(tensor.bytes);
    sum.token += bytes;
  }
  if (!known) sum.batch_seconds = 0;
  return sum;
}

struct Choice {
  GpuShare share;
  double seconds = 0;  // of a prompt and its answer; 0: not known, or not asked
};

Choice choose(const ModelIndex& index, GpuShare staying, const BatchInput& input,
              const MachineProfile& machine) {
  if (staying.on_gpu.empty() || staying.experts.has_value()) return {std::move(staying)};
  if (input.micro_batch < kGpuBatchTokens) return {std::move(staying)};
  const bool fits = index.info().weight_bytes - staying.weight_bytes <= input.share.ram_bytes;
  if (fits && !input.streams) return {std::move(staying)};
  GpuShareInput asked = input.share;
  asked.experts_used = 0;
  GpuShare taking = choose_gpu_share(index, asked);
  if (!taking.batches.has_value()) return {std::move(staying)};
  if (input.asked) return {std::move(taking)};
  const bool large = taking.batches->bytes() > asked.bytes / kRoomParts;
  if (large && taking.layers < staying.layers) return {std::move(staying)};

  const double upload_gbps = main_gpu(machine).upload_gbps;
  const double read_gbps = drive_gbps(machine.drive, kReads);
  const Below without = below(index, staying, input, machine);
  const Below with = below(index, taking, input, machine);
  if (without.all == 0) return {std::move(staying)};
  if (upload_gbps <= 0 || read_gbps <= 0 || without.batch_seconds <= 0) return {std::move(taking)};
  const auto seconds = [&](const Below& part, double batch_seconds) {
    const double missed = std::max(0.0, 1 - static_cast<double>(input.share.ram_bytes) / part.all);
    const double read_seconds = 1e-9 * missed * part.all / read_gbps;
    const double token_seconds = 1e-9 * missed * part.token / read_gbps;
    const double prompt = std::max(kPromptTokens, input.micro_batch);
    return std::ceil(prompt / input.micro_batch) * std::max(read_seconds, batch_seconds) +
           prompt / kPromptPerAnswer * token_seconds;
  };
  const double seconds_without = seconds(without, without.batch_seconds);
  const double seconds_with = seconds(with, 1e-9 * with.all / upload_gbps);
  if (seconds_with < seconds_without) return {std::move(taking), seconds_with};
  return {std::move(staying), seconds_without};
}

// What a prompt and its answer wait for the bus where experts are copied to the GPU's cache; 0
// where they are not, or not all from RAM.
double copy_seconds(const ModelIndex& index, const BatchInput& input,
                    const MachineProfile& machine) {
  GpuShareInput asked = input.share;
  asked.batch_compute_bytes = 0;
  const GpuShare share = choose_gpu_share(index, asked);
  const double upload_gbps = main_gpu(machine).upload_gbps;
  const bool fits = index.info().weight_bytes - share.weight_bytes <= input.share.ram_bytes;
  if (!share.experts.has_value() || upload_gbps <= 0 || !fits) return 0;
  const double prompt = std::max(kPromptTokens, input.micro_batch);
  const double bytes =
      std::ceil(prompt / input.micro_batch) * batch_copy_bytes(index, *share.experts) +
      prompt / kPromptPerAnswer * token_copy_bytes(index, *share.experts, input.heat);
  return 1e-9 * bytes / upload_gbps;
}

// Where the CPU computes all that lies below.
GpuShare staying_share(const ModelIndex& index, const BatchInput& input) {
  GpuShareInput without = input.share;
  without.batch_compute_bytes = without.experts_used = 0;
  return choose_gpu_share(index, without);
}

// As `input`, with `factor` times as many tokens.
BatchInput larger(const BatchInput& input, uint32_t factor, uint64_t compute_bytes) {
  BatchInput result = input;
  const uint64_t more = factor - 1;
  uint64_t taken = more * input.share.batch_compute_bytes;
  if (input.share.experts_used > 0) taken += kernel_bytes(taken);
  result.share.bytes = saturating_subtract(input.share.bytes, taken);
  result.share.batch_compute_bytes *= factor;
  result.share.ram_bytes = saturating_subtract(input.share.ram_bytes, more * compute_bytes);
  result.micro_batch *= factor;
  return result;
}

}  // namespace

uint64_t kernel_bytes(uint64_t more_activations) { return more_activations / 2; }

GpuShare better_for_batches(const ModelIndex& index, GpuShare staying, const BatchInput& input,
                            const MachineProfile& machine) {
  return choose(index, std::move(staying), input, machine).share;
}

BatchInput with_copies(const ModelIndex& index, BatchInput input, uint64_t ram_bytes) {
  input.share.experts_used = static_cast<uint32_t>(index.info().expert_used_count);
  input.share.ram_bytes = ram_bytes;
  return input;
}

uint32_t better_micro_batch(const ModelIndex& index, const BatchInput& input,
                            uint64_t compute_bytes, uint32_t most, const MachineProfile& machine) {
  const bool copies = input.share.experts_used > 0;
  uint32_t best = input.micro_batch;
  double least = 0;
  for (uint32_t factor = 1; factor == 1 || factor * input.micro_batch <= most; factor *= 2) {
    if ((factor - 1) * compute_bytes > input.share.ram_bytes / kRamParts) break;
    const BatchInput asked = larger(input, factor, compute_bytes);
    double seconds = 0;
    if (copies) {
      seconds = copy_seconds(index, asked, machine);
    } else {
      const Choice choice = choose(index, staying_share(index, asked), asked, machine);
      seconds = choice.seconds;
      if (seconds > 0 && factor > 1 && !choice.share.batches.has_value()) continue;
    }
    if (seconds == 0) break;
    if (factor > 1 && seconds >= least) continue;
    best = asked.micro_batch;
    least = factor == 1 ? kClearly * seconds : seconds;
  }
  return best;
}

}  // namespace hypura

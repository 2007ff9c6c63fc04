#include "plan/gpu_batches.h"

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "plan/rates.h"

namespace hypura {
namespace {

// Of the GPU, for batches.
constexpr uint64_t kRoomParts = 2;
// Prompts are longer than answers: by so much where documents and conversations are read.
constexpr double kPromptPerAnswer = 32;
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

}  // namespace

GpuShare better_for_batches(const ModelIndex& index, GpuShare staying, const BatchInput& input,
                            const MachineProfile& machine) {
  if (staying.on_gpu.empty() || staying.experts.has_value()) return staying;
  if (input.micro_batch < kGpuBatchTokens) return staying;
  const bool fits = index.info().weight_bytes - staying.weight_bytes <= input.ram_bytes;
  if (fits && !input.streams) return staying;
  GpuShareInput asked = input.share;
  asked.experts_used = 0;
  GpuShare taking = choose_gpu_share(index, asked);
  if (!taking.batches.has_value()) return staying;
  if (input.asked) return taking;
  if (taking.batches->bytes() > asked.bytes / kRoomParts) return staying;

  const double upload_gbps = machine.gpus.empty() ? 0 : machine.gpus.front().upload_gbps;
  const double read_gbps = drive_gbps(machine.drive, kReads);
  const Below without = below(index, staying, input, machine);
  const Below with = below(index, taking, input, machine);
  if (without.all == 0) return staying;
  if (upload_gbps <= 0 || read_gbps <= 0 || without.batch_seconds <= 0) return taking;
  const auto read_seconds = [&](const Below& part, double bytes) {
    const double missed = std::max(0.0, 1 - static_cast<double>(input.ram_bytes) / part.all);
    return 1e-9 * missed * bytes / read_gbps;
  };
  const double answer = input.micro_batch / kPromptPerAnswer;
  const double seconds_without =
      std::max(read_seconds(without, without.all), without.batch_seconds) +
      answer * read_seconds(without, without.token);
  const double seconds_with =
      std::max(read_seconds(with, with.all), 1e-9 * with.all / upload_gbps) +
      answer * read_seconds(with, with.token);
  return seconds_with < seconds_without ? std::move(taking) : std::move(staying);
}

}  // namespace hypura

#include "plan/plan_file.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/hash.h"
#include "base/units.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

Status invalid(const std::string& what) {
  return Status(StatusCode::invalid_argument, "not a saved plan: " + what)
      .suggest("hypura plan MODEL --save FILE");
}

// Members of one object. Each must be there, but those that plans of before did not have.
class Object {
 public:
  Object(const Json& json, const char* key) {
    const auto found = json.find(key);
    if (found != json.end() && found->is_object()) {
      json_ = &*found;
    } else {
      fault_ = fmt::format("{} is missing", key);
    }
  }

  const std::string& fault() const { return fault_; }

  std::string text(const char* key) {
    const Json* value = find(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    return fail(key), std::string();
  }
  std::string text_or(const char* key, const char* absent) {
    return find(key) == nullptr ? std::string(absent) : text(key);
  }
  bool flag_or(const char* key, bool absent) {
    const Json* value = find(key);
    if (value == nullptr) return absent;
    if (value->is_boolean()) return value->get<bool>();
    return fail(key), false;
  }
  template <class Integer>
  Integer integer_or(const char* key, Integer absent) {
    return find(key) == nullptr ? absent : integer<Integer>(key);
  }
  template <class Integer>
  Integer integer(const char* key) {
    const Json* value = find(key);
    if (value != nullptr && value->is_number_unsigned() &&
        value->get<uint64_t>() <= std::numeric_limits<Integer>::max()) {
      return static_cast<Integer>(value->get<uint64_t>());
    }
    return fail(key), Integer{0};
  }
  double rate(const char* key) {
    const Json* value = find(key);
    const double number = value != nullptr && value->is_number() ? value->get<double>() : -1;
    if (std::isfinite(number) && number >= 0) return number;
    return fail(key), 0.0;
  }

 private:
  const Json* find(const char* key) const {
    if (json_ == nullptr) return nullptr;
    const auto found = json_->find(key);
    return found == json_->end() ? nullptr : &*found;
  }
  void fail(const char* key) {
    if (fault_.empty()) fault_ = fmt::format("{} is missing or makes no sense", key);
  }

  const Json* json_ = nullptr;
  std::string fault_;
};

}  // namespace

std::string metadata_hash(const ModelIndex& index) {
  Fnv1a hash;
  const ModelInfo& info = index.info();
  hash.add(info.architecture);
  hash.add(info.name);
  for (const uint64_t value : {info.context_length, info.layer_count, info.embedding_length,
                               info.vocabulary_size, info.expert_count, info.expert_used_count}) {
    hash.add(value);
  }
  for (const TensorInfo& tensor : index.tensors()) {
    hash.add(tensor.name);
    hash.add(static_cast<uint64_t>(tensor.type));
    hash.add(tensor.shard);
    hash.add(tensor.offset);
    for (const int64_t size : tensor.ne) hash.add(static_cast<uint64_t>(size));
  }
  return fmt::format("{:016x}", hash.value());
}

SavedPlan saved_plan(const PlanInput& input, const Plan& plan) {
  const ModelIndex& index = input.index;
  SavedPlan saved{.model_name = index.info().name,
                  .model_tensors = index.tensors().size(),
                  .model_metadata = metadata_hash(index),
                  .machine = input.machine.name.empty() ? input.machine.cpu : input.machine.name,
                  .budget_bytes = plan.budget_bytes,
                  .mode = plan.mode,
                  .context = input.demand.context,
                  .micro_batch = input.demand.micro_batch,
                  .choice = plan.choice,
                  .gpu_takes_experts = plan.gpu.experts.has_value(),
                  .gpu_takes_batches = plan.gpu.batches.has_value(),
                  .threads = {.token = input.demand.threads, .batch = input.demand.threads_batch},
                  .decode_tps = plan.prediction.decode_tps.middle,
                  .prompt_tps = plan.prediction.prompt_tps.middle,
                  .bottleneck = plan.prediction.bottleneck};
  for (const Shard& shard : index.shards()) saved.model_bytes += shard.bytes;
  if (plan.gpu.layers > 0) {
    for (const uint64_t bytes : input.gpu_bytes) {
      if (bytes > 0) saved.gpu_budget_bytes += bytes + input.demand.gpu_activations();
    }
  }
  const TierBytes tiers = tier_bytes(index, plan);
  saved.pinned_bytes = tiers.ram;
  saved.streamed_bytes = tiers.drive;
  if (!plan.layout.has_value()) return saved;
  // Named, so that a run need not measure how far to read ahead.
  saved.choice.ring_slots = plan.layout->ring_bytes > 0 ? plan.layout->ring_slots : 0;
  saved.pool_bytes = plan.layout->pool_bytes;
  for (const PoolLayout& pool : plan.layout->pools) saved.expert_slots += pool.slots;
  return saved;
}

std::string to_json(const SavedPlan& plan) {
  Json json = {{"schema", SavedPlan::kSchema}, {"kind", "hypura plan"}};
  json["model"] = {{"name", plan.model_name},
                   {"bytes", plan.model_bytes},
                   {"tensors", plan.model_tensors},
                   {"metadata", plan.model_metadata}};
  json["machine"] = plan.machine;
  json["decisions"] = {{"budget_bytes", plan.budget_bytes},
                       {"mode", to_string(plan.mode)},
                       {"context", plan.context},
                       {"micro_batch", plan.micro_batch},
                       {"pin_bytes_max", plan.choice.pin_bytes_max},
                       {"pool_bytes_max", plan.choice.pool_bytes_max},
                       {"ring_slots", plan.choice.ring_slots},
                       {"gpu_budget_bytes", plan.gpu_budget_bytes},
                       {"gpu_takes_experts", plan.gpu_takes_experts},
                       {"gpu_takes_batches", plan.gpu_takes_batches},
                       {"threads", plan.threads.token},
                       {"threads_batch", plan.threads.batch},
                       {"kv_type_k", plan.kv_type_k},
                       {"kv_type_v", plan.kv_type_v},
                       {"fast_prompt", plan.fast_prompt},
                       {"draft", plan.draft},
                       {"draft_depth", plan.draft_depth}};
  json["result"] = {{"pinned_bytes", plan.pinned_bytes}, {"streamed_bytes", plan.streamed_bytes},
                    {"pool_bytes", plan.pool_bytes},     {"expert_slots", plan.expert_slots},
                    {"decode_tps", plan.decode_tps},     {"prompt_tps", plan.prompt_tps},
                    {"bottleneck", plan.bottleneck}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<SavedPlan> parse_plan(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return invalid("no JSON object");
  const auto kind = json.find("kind");
  if (kind == json.end() || *kind != "hypura plan") return invalid("its kind is another one");
  const auto schema = json.find("schema");
  if (schema == json.end() || *schema != SavedPlan::kSchema) {
    return invalid(fmt::format("its schema is not {}", SavedPlan::kSchema));
  }
  const auto machine = json.find("machine");
  if (machine == json.end() || !machine->is_string()) return invalid("machine is missing");

  Object model(json, "model");
  Object decisions(json, "decisions");
  Object result(json, "result");
  const std::optional<Mode> mode = parse_mode(decisions.text("mode"));
  SavedPlan plan{.model_name = model.text("name"),
                 .model_bytes = model.integer<uint64_t>("bytes"),
                 .model_tensors = model.integer<uint64_t>("tensors"),
                 .model_metadata = model.text("metadata"),
                 .machine = machine->get<std::string>(),
                 .budget_bytes = decisions.integer<uint64_t>("budget_bytes"),
                 .mode = mode.value_or(Mode::automatic),
                 .context = decisions.integer<uint32_t>("context"),
                 .micro_batch = decisions.integer<uint32_t>("micro_batch"),
                 .choice = {.pin_bytes_max = decisions.integer<uint64_t>("pin_bytes_max"),
                            .pool_bytes_max =
                                decisions.integer_or<uint64_t>("pool_bytes_max", UINT64_MAX),
                            .ring_slots = decisions.integer<uint32_t>("ring_slots")},
                 .gpu_budget_bytes = decisions.integer_or<uint64_t>("gpu_budget_bytes", 0),
                 .gpu_takes_experts = decisions.flag_or("gpu_takes_experts", false),
                 .gpu_takes_batches = decisions.flag_or("gpu_takes_batches", false),
                 .threads = {.token = decisions.integer_or<uint16_t>("threads", 0),
                             .batch = decisions.integer_or<uint16_t>("threads_batch", 0)},
                 .kv_type_k = decisions.text_or("kv_type_k", "f16"),
                 .kv_type_v = decisions.text_or("kv_type_v", "f16"),
                 .fast_prompt = decisions.flag_or("fast_prompt", false),
                 .draft = decisions.text_or("draft", ""),
                 .draft_depth = decisions.integer_or<uint32_t>("draft_depth", 0),
                 .pinned_bytes = result.integer<uint64_t>("pinned_bytes"),
                 .streamed_bytes = result.integer<uint64_t>("streamed_bytes"),
                 .pool_bytes = result.integer<uint64_t>("pool_bytes"),
                 .expert_slots = result.integer<uint32_t>("expert_slots"),
                 .decode_tps = result.rate("decode_tps"),
                 .prompt_tps = result.rate("prompt_tps"),
                 .bottleneck = result.text("bottleneck")};
  for (const Object* object : {&model, &decisions, &result}) {
    if (!object->fault().empty()) return invalid(object->fault());
  }
  if (!mode.has_value()) return invalid("its mode is none");
  constexpr uint64_t kBytesMax = uint64_t{1} << 62;
  constexpr uint32_t kContextMax = 1 << 24;
  constexpr uint32_t kRingSlotsMax = 1 << 16;
  constexpr int kThreadsMax = 512;  // ggml's
  constexpr uint32_t kDraftDepthMax = 1 << 10;
  if (plan.budget_bytes == 0 || plan.budget_bytes > kBytesMax)
    return invalid("its budget is absurd");
  if (plan.gpu_budget_bytes > kBytesMax) return invalid("its GPU budget is absurd");
  if (plan.context == 0 || plan.context > kContextMax) return invalid("its context is absurd");
  if (plan.micro_batch == 0 || plan.micro_batch > kContextMax) {
    return invalid("its micro-batch is absurd");
  }
  if (plan.choice.ring_slots > kRingSlotsMax) return invalid("its ring is absurd");
  if (plan.threads.token > kThreadsMax || plan.threads.batch > kThreadsMax) {
    return invalid("its threads are absurd");
  }
  if (plan.draft_depth > kDraftDepthMax) return invalid("its draft depth is absurd");
  return plan;
}

Status check_model(const SavedPlan& plan, const ModelIndex& index) {
  uint64_t bytes = 0;
  for (const Shard& shard : index.shards()) bytes += shard.bytes;
  const auto refuse = [&](const std::string& why) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("the plan is for another model than {}", index.shards().front().path))
        .because(why)
        .suggest("hypura plan MODEL --save FILE makes one for this model");
  };
  if (plan.model_bytes != bytes) {
    return refuse(fmt::format("that one has {} bytes, this one {}", plan.model_bytes, bytes));
  }
  if (plan.model_tensors != index.tensors().size()) {
    return refuse(fmt::format("that one has {} tensors, this one {}", plan.model_tensors,
                              index.tensors().size()));
  }
  if (plan.model_metadata != metadata_hash(index)) {
    return refuse("names, types or places of its tensors differ");
  }
  return Status();
}

std::vector<std::string> differences(const SavedPlan& before, const SavedPlan& after) {
  std::vector<std::string> lines;
  const auto compare = [&](const char* what, const std::string& a, const std::string& b) {
    if (a != b) lines.push_back(fmt::format("{}: {} -> {}", what, a, b));
  };
  const auto number = [](auto value) { return fmt::format("{}", value); };
  const auto pin = [](uint64_t bytes) {
    return bytes == UINT64_MAX ? std::string("as many as fit") : format_bytes(bytes);
  };
  compare("model", before.model_name, after.model_name);
  compare("model metadata", before.model_metadata, after.model_metadata);
  compare("machine", before.machine, after.machine);
  compare("budget", format_bytes(before.budget_bytes), format_bytes(after.budget_bytes));
  compare("GPU budget", format_bytes(before.gpu_budget_bytes),
          format_bytes(after.gpu_budget_bytes));
  compare("experts copied to the GPU", number(before.gpu_takes_experts),
          number(after.gpu_takes_experts));
  compare("batches computed by the GPU", number(before.gpu_takes_batches),
          number(after.gpu_takes_batches));
  compare("mode", to_string(before.mode), to_string(after.mode));
  compare("context", number(before.context), number(after.context));
  compare("micro-batch", number(before.micro_batch), number(after.micro_batch));
  compare("dense weights pinned at most", pin(before.choice.pin_bytes_max),
          pin(after.choice.pin_bytes_max));
  compare("experts' slots at most", pin(before.choice.pool_bytes_max),
          pin(after.choice.pool_bytes_max));
  compare("threads", number(before.threads.token), number(after.threads.token));
  compare("threads of prompts", number(before.threads.batch), number(after.threads.batch));
  compare("KV types", before.kv_type_k + ", " + before.kv_type_v,
          after.kv_type_k + ", " + after.kv_type_v);
  compare("repacked for prompts", number(before.fast_prompt), number(after.fast_prompt));
  compare("draft", before.draft, after.draft);
  compare("draft depth", number(before.draft_depth), number(after.draft_depth));
  compare("ring slots", number(before.choice.ring_slots), number(after.choice.ring_slots));
  compare("in RAM", format_bytes(before.pinned_bytes), format_bytes(after.pinned_bytes));
  compare("on the drive", format_bytes(before.streamed_bytes), format_bytes(after.streamed_bytes));
  compare("expert slots", number(before.expert_slots), number(after.expert_slots));
  compare("decode tok/s", fmt::format("{:.2f}", before.decode_tps),
          fmt::format("{:.2f}", after.decode_tps));
  compare("prompt tok/s", fmt::format("{:.1f}", before.prompt_tps),
          fmt::format("{:.1f}", after.prompt_tps));
  compare("bottleneck", before.bottleneck, after.bottleneck);
  return lines;
}

}  // namespace hypura

#include "plugin/plugin.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "backend/device.h"
#include "base/units.h"
#include "plugin/host_mapping.h"
#include "plugin/hosted_model.h"
#include "plugin/say.h"

namespace hypura {
namespace {

std::optional<Result<RamBudget>> g_budget;

// The shards of one model are mapped one after another by the thread that loads it.
thread_local std::weak_ptr<HostedModel> t_latest;

Result<std::shared_ptr<HostedModel>> model_at(const void* mapping) {
  if (!g_budget->ok()) return g_budget->status();
  const Result<HostMapping> found = find_mapping(mapping);
  if (!found.ok()) return found.status();
  std::shared_ptr<HostedModel> model = t_latest.lock();
  if (model != nullptr && model->claim(found->path, mapping)) return model;

  Result<std::unique_ptr<HostedModel>> opened = HostedModel::open(found->path, **g_budget);
  if (!opened.ok()) return opened.status();
  model = *std::move(opened);
  if (!model->claim(found->path, mapping)) {
    return Status(StatusCode::failed,
                  fmt::format("{} is not the file that was mapped", found->path))
        .because("it has been replaced meanwhile");
  }
  t_latest = model;
  return model;
}

std::shared_ptr<StreamedModel> open_mapped(const void* mapping) {
  const Result<std::shared_ptr<HostedModel>> model = model_at(mapping);
  if (model.ok()) return std::shared_ptr<StreamedModel>(*model, &(*model)->streamed());
  say(model.status());
  return nullptr;
}

void tell_not_mapped(uint64_t bytes) {
  static std::atomic<bool> told = false;
  if (told.exchange(true)) return;
  say(
      fmt::format("warning: {} of weights were read into memory instead of being mapped: nothing "
                  "streams\n  try: --load-mode mmap",
                  format_bytes(bytes)));
}

}  // namespace

ggml_backend_reg_t plugin_registry(Result<RamBudget> budget) {
  g_budget = std::move(budget);
  return hosted_registry({.open = open_mapped, .not_mapped = tell_not_mapped});
}

}  // namespace hypura

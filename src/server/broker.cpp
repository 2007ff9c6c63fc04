#include "server/broker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/units.h"

namespace hypura {
namespace {

constexpr std::chrono::milliseconds kLookEvery{20};
constexpr std::chrono::milliseconds kTidyEvery{200};

// What a model that fits takes beside its weights, until it is measured: KV and activations.
constexpr uint64_t kBesideWeights = 512 * kMiB;

}  // namespace

Broker::Place::Place(Broker& broker, std::string name, std::shared_ptr<ModelProcess> process,
                     std::optional<double> keep_alive, double load_seconds)
    : broker_(broker),
      name_(std::move(name)),
      process_(std::move(process)),
      socket_path_(process_->socket_path()),
      keep_alive_(keep_alive),
      load_seconds_(load_seconds) {}

Broker::Place::~Place() {
  process_.reset();
  broker_.give_place_back(name_, keep_alive_);
}

Status Broker::Place::failure() {
  return process_->has_ended() ? process_->failure() : Status();
}

Broker::Broker(BrokerOptions options, const Catalog& catalog)
    : options_(std::move(options)), catalog_(catalog) {
  tidier_ = std::jthread([this](const std::stop_token& stop) { tidy(stop); });
}

Broker::~Broker() {
  tidier_.request_stop();
  tidier_.join();
}

std::unique_ptr<Broker::Place> Broker::take_place(const std::string& name, const Wish& wish,
                                                  const std::function<bool()>& is_gone,
                                                  Refusal& refusal) {
  const Result<CatalogModel> entry = catalog_.find(name);
  if (!entry.ok()) {
    refusal = {404, entry.status()};
    return nullptr;
  }
  const double asked_at = now_seconds();
  bool waited_for_loading = false;
  std::unique_lock lock(mutex_);
  Model& model = models_[entry->name];
  model.entry = *entry;
  if (model.waiting.size() >= options_.queue_max) {
    refusal = {503, Status(StatusCode::failed,
                           fmt::format("{} requests wait for {} already", model.waiting.size(),
                                       entry->name))
                        .suggest("again in a few seconds")};
    return nullptr;
  }
  const uint64_t ticket = ++tickets_;
  const uint64_t failures = model.failures;
  model.waiting.push_back(ticket);
  const auto leave = [&](int code, Status status) {
    std::erase(model.waiting, ticket);
    refusal = {code, std::move(status)};
    changed_.notify_all();
    return nullptr;
  };
  for (;;) {
    if (draining_) return leave(503, Status(StatusCode::failed, "the server is about to end"));
    if (is_gone()) return leave(499, Status(StatusCode::interrupted, "the client has left"));
    if (model.failures != failures) {
      Refusal last = model.last_failure;
      return leave(last.http_code, std::move(last.status));
    }
    if (model.process != nullptr && model.process->has_ended() && model.active == 0) {
      end(lock, model);
      continue;
    }
    const bool first = model.waiting.front() == ticket;
    const bool usable = model.process != nullptr && !model.loading && !model.stale &&
                        !model.process->has_ended() && fits(model, wish);
    if (first && usable && model.active < static_cast<size_t>(options_.parallel)) break;
    if (first && !usable && !model.loading && model.active == 0) {
      if (model.process != nullptr) {
        end(lock, model);
      } else if (make_room(entry->name, lease_of(*entry))) {
        waited_for_loading = true;
        load(lock, entry->name, wish);
      }
      // Room is made by ending others, behind the lock.
      if (model.process != nullptr || model.failures != failures) continue;
    }
    changed_.wait_for(lock, kLookEvery);
  }
  model.waiting.pop_front();
  ++model.active;
  ++model.requests;
  changed_.notify_all();
  return std::unique_ptr<Place>(new Place(*this, entry->name, model.process, wish.keep_alive,
                                          waited_for_loading ? now_seconds() - asked_at : 0));
}

bool Broker::fits(const Model& model, const Wish& wish) const {
  if (wish.embedding && !model.embedding) return false;
  return !wish.context.has_value() || model.context == 0 || *wish.context <= model.context;
}

// Whether a lease of so many bytes is free; if not, one model more is told to end, or is waited
// for.
bool Broker::make_room(const std::string& name, uint64_t lease_bytes) {
  uint64_t leased = 0;
  size_t living = 0;
  bool someone_ends = false;
  Model* oldest = nullptr;
  for (auto& [other_name, other] : models_) {
    if (other_name == name || (other.process == nullptr && !other.loading)) continue;
    leased += other.lease_bytes;
    ++living;
    someone_ends = someone_ends || other.stale;
    const bool idle = !other.loading && other.active == 0 && other.waiting.empty();
    if (idle && (oldest == nullptr || other.idle_since < oldest->idle_since)) oldest = &other;
  }
  if (living == 0) return true;
  const bool fits = leased + lease_bytes <= options_.budget_bytes;
  if (living < options_.models_max && fits) return true;
  if (oldest != nullptr && !someone_ends) oldest->stale = true;
  return false;
}

uint64_t Broker::lease_of(const CatalogModel& model) const {
  return std::min(options_.budget_bytes, model.bytes + model.bytes / 20 + kBesideWeights);
}

std::vector<std::string> Broker::words_of(const Model& model, bool alone) const {
  std::vector<std::string> words = {model.entry.path, "--alias", model.entry.name, "--parallel",
                                    fmt::format("{}", options_.parallel)};
  if (model.context > 0) words.insert(words.end(), {"--ctx", fmt::format("{}", model.context)});
  if (model.embedding) words.emplace_back("--embedding");
  if (!model.entry.projector_path.empty()) {
    words.insert(words.end(), {"--mmproj", model.entry.projector_path});
  }
  // A model by itself follows what the machine has; among others it has its part.
  const std::string budget =
      alone ? options_.ram_budget : fmt::format("{}", model.lease_bytes);
  if (!budget.empty()) words.insert(words.end(), {"--ram-budget", budget});
  words.insert(words.end(), options_.words.begin(), options_.words.end());
  return words;
}

void Broker::load(std::unique_lock<std::mutex>& lock, const std::string& name, const Wish& wish) {
  Model& model = models_[name];
  model.loading = true;
  model.error.clear();
  model.lease_bytes = lease_of(model.entry);
  model.context = std::max({model.context, options_.context, wish.context.value_or(0)});
  model.embedding = model.embedding || wish.embedding;
  model.keep_alive = options_.keep_alive_seconds;
  const bool alone = std::none_of(models_.begin(), models_.end(), [&](const auto& other) {
    return other.first != name && (other.second.process != nullptr || other.second.loading);
  });
  const ModelProcess::Options options{
      .program = options_.program,
      .socket_path = fmt::format("{}/{}", options_.socket_folder, ++sockets_),
      .arguments = words_of(model, alone)};
  lock.unlock();
  Result<std::unique_ptr<ModelProcess>> started = ModelProcess::start(options);
  Status status = started.status();
  std::shared_ptr<ModelProcess> process;
  if (started.ok()) {
    process = *std::move(started);
    while (!draining_ && !process->has_ended() && !process->is_ready()) {
      std::this_thread::sleep_for(kLookEvery);
    }
    if (process->has_ended()) status = process->failure();
  }
  if (!status.ok()) process.reset();
  lock.lock();
  model.loading = false;
  model.process = std::move(process);
  model.ready_since = model.idle_since = now_seconds();
  if (!status.ok()) {
    model.lease_bytes = 0;
    model.error = status.message();
    model.last_failure = {500, status};
    ++model.failures;
  }
  changed_.notify_all();
}

// Ends the process of a model that nobody uses.
void Broker::end(std::unique_lock<std::mutex>& lock, Model& model) {
  std::shared_ptr<ModelProcess> process = std::move(model.process);
  model.loading = true;  // nobody loads it meanwhile
  lock.unlock();
  process.reset();
  lock.lock();
  model.loading = false;
  model.stale = false;
  model.lease_bytes = 0;
  changed_.notify_all();
}

void Broker::give_place_back(const std::string& name, std::optional<double> keep_alive) {
  const std::lock_guard lock(mutex_);
  Model& model = models_[name];
  --model.active;
  model.idle_since = now_seconds();
  if (keep_alive.has_value()) model.keep_alive = *keep_alive;
  changed_.notify_all();
}

bool Broker::unload(const std::string& name) {
  const Result<CatalogModel> entry = catalog_.find(name);
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(entry.ok() ? entry->name : name);
  if (found == models_.end() || found->second.process == nullptr) return false;
  found->second.stale = true;
  return true;
}

void Broker::tidy(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::this_thread::sleep_for(kTidyEvery);
    std::unique_lock lock(mutex_);
    for (auto& [name, model] : models_) {
      if (model.process == nullptr || model.loading || model.active > 0) continue;
      const bool expired = model.waiting.empty() && model.keep_alive >= 0 &&
                           now_seconds() >= model.idle_since + model.keep_alive;
      if (model.stale || expired || model.process->has_ended()) end(lock, model);
    }
  }
}

std::vector<Broker::Facts> Broker::facts() {
  const std::lock_guard lock(mutex_);
  std::vector<Facts> all;
  const double now = now_seconds();
  for (const auto& [name, model] : models_) {
    if (model.process == nullptr && !model.loading && model.error.empty()) continue;
    Facts facts{.name = name,
                .path = model.entry.path,
                .bytes = model.entry.bytes,
                .life = model.process != nullptr ? Life::ready
                        : model.loading          ? Life::loading
                                                 : Life::failed,
                .error = model.process == nullptr ? model.error : std::string(),
                .queued = model.waiting.size(),
                .active = model.active,
                .requests = model.requests};
    if (model.process != nullptr) {
      facts.socket_path = model.process->socket_path();
      facts.loaded_seconds = now - model.ready_since;
      if (model.active == 0 && model.keep_alive >= 0) {
        facts.expires_seconds = std::max(0.0, model.idle_since + model.keep_alive - now);
      }
    }
    all.push_back(std::move(facts));
  }
  return all;
}

uint64_t Broker::leased_bytes() {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [name, model] : models_) bytes += model.lease_bytes;
  return bytes;
}

void Broker::drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  changed_.notify_all();
}

bool Broker::is_idle() {
  const std::lock_guard lock(mutex_);
  return std::all_of(models_.begin(), models_.end(),
                     [](const auto& named) { return named.second.active == 0; });
}

}  // namespace hypura

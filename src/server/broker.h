#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "server/catalog.h"
#include "server/model_process.h"

namespace hypura {

struct BrokerOptions {
  std::string program;             // path of hypura
  std::string socket_folder;
  std::vector<std::string> words;  // of `serve-model`, for every model
  std::string ram_budget;          // as it was asked for; empty: what the machine has
  uint64_t budget_bytes = 0;       // which leases of several models share
  int context = 0;                 // tokens of a request; 0: the model's usual
  int parallel = 4;                // requests a model computes at a time
  size_t queue_max = 512;          // that wait for a model
  size_t models_max = 3;
  double keep_alive_seconds = 300;  // behind the last request; negative: for good
};

// Why a request is not answered by a model.
struct Refusal {
  int http_code = 0;
  Status status;
};

// What a request asks of the model's process beside an answer.
struct Wish {
  std::optional<int> context;         // at least, in tokens
  std::optional<double> keep_alive;  // in seconds, from the end of this request; negative: for good
  bool embedding = false;
};

// Which models live, in processes of their own, and who may ask them next. Loads a model when it is
// first asked for, and ends those that were idle for long, or longest when another needs the room.
class Broker {
 public:
  // A place at a model, until it is destroyed.
  class Place {
   public:
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    const std::string& socket_path() const { return socket_path_; }
    double load_seconds() const { return load_seconds_; }  // this request waited for loading
    // What the process ended with, if it did: the reason of an answer that broke off.
    Status failure();

   private:
    friend class Broker;
    Place(Broker& broker, std::string name, std::shared_ptr<ModelProcess> process,
          std::optional<double> keep_alive, double load_seconds);
    Broker& broker_;
    std::string name_;
    std::shared_ptr<ModelProcess> process_;
    std::string socket_path_;
    std::optional<double> keep_alive_;
    double load_seconds_;
  };

  enum class Life : uint8_t { loading, ready, failed };
  // Of one model, for people and metrics.
  struct Facts {
    std::string name;
    std::string path;
    uint64_t bytes = 0;
    Life life = Life::loading;
    std::string error;
    double loaded_seconds = 0;               // since it became ready
    std::optional<double> expires_seconds;   // until it ends; nullopt: while it is busy, or never
    size_t queued = 0;
    size_t active = 0;
    uint64_t requests = 0;
    std::string socket_path;                 // empty unless ready
  };

  Broker(BrokerOptions options, const Catalog& catalog);
  ~Broker();

  // Waits until the model is loaded and has a place, in the order in which requests came. `is_gone`
  // is asked often: true gives up. Codes: 404 no such model, 503 too many wait or the server ends,
  // 499 gone, 500 it does not load.
  std::unique_ptr<Place> take_place(const std::string& name, const Wish& wish,
                                    const std::function<bool()>& is_gone, Refusal& refusal);
  // Ends an idle model now, a busy one behind its requests. False if it is not loaded.
  bool unload(const std::string& name);

  std::vector<Facts> facts();
  uint64_t budget_bytes() const { return options_.budget_bytes; }
  uint64_t leased_bytes();
  // From here on nobody gets a place; requests under way go on.
  void drain();
  // Whether nothing is under way.
  bool is_idle();
  bool is_draining() const { return draining_.load(); }
  const BrokerOptions& options() const { return options_; }

 private:
  struct Model {
    CatalogModel entry;
    std::shared_ptr<ModelProcess> process;  // null: not loaded
    bool loading = false;
    bool stale = false;  // to be ended once idle
    std::string error;
    uint64_t failures = 0;
    Refusal last_failure;
    uint64_t lease_bytes = 0;
    int context = 0;
    bool embedding = false;
    std::deque<uint64_t> waiting;
    size_t active = 0;
    uint64_t requests = 0;
    double ready_since = 0;
    double idle_since = 0;
    double keep_alive = 0;
  };

  bool fits(const Model& model, const Wish& wish) const;
  bool make_room(const std::string& name, uint64_t lease_bytes);
  void load(std::unique_lock<std::mutex>& lock, const std::string& name, const Wish& wish);
  std::vector<std::string> words_of(const Model& model, bool alone) const;
  uint64_t lease_of(const CatalogModel& model) const;
  void end(std::unique_lock<std::mutex>& lock, Model& model);
  void give_place_back(const std::string& name, std::optional<double> keep_alive);
  void tidy(const std::stop_token& stop);

  BrokerOptions options_;
  const Catalog& catalog_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Model> models_;
  uint64_t tickets_ = 0;
  uint64_t sockets_ = 0;
  std::atomic<bool> draining_ = false;
  std::jthread tidier_;
};

}  // namespace hypura

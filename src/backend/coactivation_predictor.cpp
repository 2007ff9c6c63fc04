#include <algorithm>

#include "backend/expert_predictor.h"

namespace hypura {
namespace {

class CoactivationPredictor final : public ExpertPredictor {
 public:
  explicit CoactivationPredictor(Coactivation& table) : table_(table) {}

  void predict(const RoutingStep& step, std::vector<int32_t>& ranked) override {
    ranked.clear();
    if (!knows(step.layer, step.experts)) return;
    table_.rank(step.layer, step.experts, step.experts.size(), ranked);
  }

  void observe(uint32_t layer, std::span<const int32_t> experts,
               std::span<const int32_t> next) override {
    if (knows(layer, experts) && knows(layer, next)) table_.observe(layer, experts, next);
  }

 private:
  // Some models have layers with other experts than they state; those are not in the table.
  bool knows(uint32_t layer, std::span<const int32_t> experts) const {
    return layer < table_.layers() &&
           std::all_of(experts.begin(), experts.end(), [&](int32_t expert) {
             return static_cast<uint32_t>(expert) < table_.experts();
           });
  }

  Coactivation& table_;
};

}  // namespace

std::unique_ptr<ExpertPredictor> make_coactivation_predictor(Coactivation& table) {
  return std::make_unique<CoactivationPredictor>(table);
}

}  // namespace hypura

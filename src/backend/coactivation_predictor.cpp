#include "backend/expert_predictor.h"

namespace hypura {
namespace {

class CoactivationPredictor final : public ExpertPredictor {
 public:
  explicit CoactivationPredictor(Coactivation& table) : table_(table) {}

  const char* name() const override { return "coactivation"; }

  void predict(const RoutingStep& step, std::vector<int32_t>& ranked) override {
    const size_t count = static_cast<size_t>(step.graph->nodes[step.next_node]->src[2]->ne[0]);
    table_.rank(step.layer, step.experts, count, ranked);
  }

  void observe(uint32_t layer, std::span<const int32_t> experts,
               std::span<const int32_t> next) override {
    table_.observe(layer, experts, next);
  }

 private:
  Coactivation& table_;
};

}  // namespace

std::unique_ptr<ExpertPredictor> make_coactivation_predictor(Coactivation& table) {
  return std::make_unique<CoactivationPredictor>(table);
}

}  // namespace hypura

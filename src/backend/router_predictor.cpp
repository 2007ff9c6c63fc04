#include <algorithm>
#include <numeric>

#include "backend/expert_predictor.h"
#include "backend/weight.h"

namespace hypura {
namespace {

class RouterPredictor final : public ExpertPredictor {
 public:
  RouterPredictor(Residency& residency, NodeRunner& runner)
      : residency_(residency), runner_(runner) {}

  void predict(const RoutingStep& step, std::vector<int32_t>& ranked) override {
    ranked.clear();
    const ggml_tensor* input = step.graph->nodes[step.node]->src[1];
    const ggml_tensor* next = step.graph->nodes[step.next_node];
    const ggml_tensor* router = find_router(step, input->ne[0], next->src[0]->ne[2]);
    if (router == nullptr || input->type != GGML_TYPE_F32) return;
    score(router, input);
    const size_t count = static_cast<size_t>(next->src[2]->ne[0]);
    ranked.resize(scores_.size());
    std::iota(ranked.begin(), ranked.end(), 0);
    std::partial_sort(ranked.begin(), ranked.begin() + static_cast<ptrdiff_t>(count), ranked.end(),
                      [&](int32_t a, int32_t b) {
                        return scores_[static_cast<size_t>(a)] > scores_[static_cast<size_t>(b)];
                      });
    ranked.resize(count);
  }

  void observe(uint32_t, std::span<const int32_t>, std::span<const int32_t>) override {}

 private:
  // The last product before the next layer's experts that makes one number an expert.
  const ggml_tensor* find_router(const RoutingStep& step, int64_t width, int64_t experts) const {
    for (int k = step.next_node - 1; k > step.node; --k) {
      const ggml_tensor* node = step.graph->nodes[k];
      if (node->op != GGML_OP_MUL_MAT || node->type != GGML_TYPE_F32) continue;
      const ggml_tensor* weight = node->src[0];
      if (weight->ne[0] != width || weight->ne[1] != experts || weight->ne[2] != 1) continue;
      const Weight* streamed = weight_of(weight);
      if (streamed == nullptr || residency_.pinned(streamed->id) == nullptr) continue;
      return node;
    }
    return nullptr;
  }

  void score(const ggml_tensor* router, const ggml_tensor* input) {
    const int64_t experts = router->src[0]->ne[1];
    scores_.resize(static_cast<size_t>(experts));
    ggml_tensor row = *input;
    row.view_src = nullptr;
    row.ne[1] = row.ne[2] = row.ne[3] = 1;
    ggml_tensor output = *router;
    output.view_src = nullptr;
    output.data = scores_.data();
    output.ne[0] = experts;
    output.ne[1] = output.ne[2] = output.ne[3] = 1;
    output.nb[1] = output.nb[2] = output.nb[3] = scores_.size() * sizeof(float);
    output.src[1] = &row;
    // A guess that cannot be computed is no guess; the graph itself will say what is wrong.
    if (!runner_.run_one(&output).ok()) std::fill(scores_.begin(), scores_.end(), 0.0F);
  }

  Residency& residency_;
  NodeRunner& runner_;
  std::vector<float> scores_;
};

}  // namespace

std::unique_ptr<ExpertPredictor> make_router_predictor(Residency& residency, NodeRunner& runner) {
  return std::make_unique<RouterPredictor>(residency, runner);
}

}  // namespace hypura

#include <algorithm>
#include <map>
#include <numeric>

#include "backend/expert_predictor.h"
#include "ggml-cpp.h"

namespace hypura {
namespace {

// Each router's product with one row, built by itself: the model's graph around it may lie on a
// GPU.
class RouterPredictor final : public ExpertPredictor {
 public:
  RouterPredictor(const ModelIndex& index, const Residency& residency, NodeRunner& runner)
      : runner_(runner) {
    size_t scores_max = 0;
    for (uint32_t i = 0; i < index.tensors().size(); ++i) {
      const TensorInfo& tensor = index.tensors()[i];
      std::byte* weight = residency.pinned(TensorId{i});
      if (tensor.role != TensorRole::router || weight == nullptr || tensor.layer < 0) continue;
      if (tensor.ne[2] != 1 || tensor.ne[3] != 1) continue;
      if (static_cast<uint64_t>(tensor.ne[1]) > index.info().expert_count) continue;
      add(tensor, weight);
      scores_max = std::max(scores_max, static_cast<size_t>(tensor.ne[1]));
    }
    scores_.reserve(scores_max);
  }

  void predict(const RoutingStep& step, std::vector<int32_t>& ranked) override {
    ranked.clear();
    ggml_tensor* scores = find(step);
    if (scores == nullptr || step.input->type != GGML_TYPE_F32) return;
    // A guess that cannot be computed is no guess; the graph itself will say what is wrong.
    if (!score(scores, step.input->data)) return;
    ranked.resize(scores_.size());
    std::iota(ranked.begin(), ranked.end(), 0);
    const size_t count = std::min(step.experts.size(), scores_.size());
    std::partial_sort(ranked.begin(), ranked.begin() + static_cast<ptrdiff_t>(count), ranked.end(),
                      [&](int32_t a, int32_t b) {
                        return scores_[static_cast<size_t>(a)] > scores_[static_cast<size_t>(b)];
                      });
    ranked.resize(count);
  }

  void observe(uint32_t, std::span<const int32_t>, std::span<const int32_t>) override {}

 private:
  void add(const TensorInfo& tensor, std::byte* data) {
    contexts_.emplace_back(ggml_init({.mem_size = 3 * ggml_tensor_overhead(), .no_alloc = true}));
    ggml_context* context = contexts_.back().get();
    ggml_tensor* weight = ggml_new_tensor_2d(context, static_cast<ggml_type>(tensor.type),
                                             tensor.ne[0], tensor.ne[1]);
    weight->data = data;
    ggml_tensor* input = ggml_new_tensor_1d(context, GGML_TYPE_F32, tensor.ne[0]);
    ggml_tensor* output = ggml_mul_mat(context, weight, input);
    output->flags |= GGML_TENSOR_FLAG_COMPUTE;
    routers_.emplace(static_cast<uint32_t>(tensor.layer), output);
  }

  // The product of the next layer that makes one number an expert; nullptr: none is known.
  ggml_tensor* find(const RoutingStep& step) const {
    const auto [first, last] = routers_.equal_range(step.next_layer);
    const auto found = std::find_if(first, last, [&](const auto& router) {
      const ggml_tensor* output = router.second;
      return output->ne[0] == step.next_experts && output->src[1]->ne[0] == step.input->ne[0];
    });
    return found == last ? nullptr : found->second;
  }

  bool score(ggml_tensor* output, void* input) {
    scores_.resize(static_cast<size_t>(output->ne[0]));
    output->src[1]->data = input;
    output->data = scores_.data();
    return runner_.run_one(output).ok();
  }

  NodeRunner& runner_;
  std::vector<ggml_context_ptr> contexts_;
  std::multimap<uint32_t, ggml_tensor*> routers_;  // their products, by layer
  std::vector<float> scores_;
};

}  // namespace

std::unique_ptr<ExpertPredictor> make_router_predictor(const ModelIndex& index,
                                                       const Residency& residency,
                                                       NodeRunner& runner) {
  return std::make_unique<RouterPredictor>(index, residency, runner);
}

}  // namespace hypura

#include "model/tensor_role.h"

#include <gtest/gtest.h>

namespace hypura {
namespace {

TEST(TensorName, GivesRoles) {
  const std::pair<const char*, TensorRole> cases[] = {
      {"token_embd.weight", TensorRole::embedding},
      {"per_layer_token_embd.weight", TensorRole::embedding},
      {"position_embd.weight", TensorRole::embedding},
      {"token_embd_norm.weight", TensorRole::norm},
      {"output.weight", TensorRole::output},
      {"output_norm.weight", TensorRole::norm},
      {"blk.0.attn_norm.weight", TensorRole::norm},
      {"blk.0.attn_q.weight", TensorRole::attention},
      {"blk.0.attn_q.bias", TensorRole::attention},
      {"blk.0.attn_q_norm.weight", TensorRole::norm},
      {"blk.0.attn_kv_a_mqa.weight", TensorRole::attention},
      {"blk.0.attn_sinks.weight", TensorRole::attention},
      {"dec.blk.2.cross_attn_k.weight", TensorRole::attention},
      {"blk.0.indexer.k_proj.weight", TensorRole::attention},
      {"blk.0.post_ffw_norm_1.weight", TensorRole::norm},
      {"blk.0.ffn_norm_exps.weight", TensorRole::norm},
      {"blk.0.ffn_gate_inp.weight", TensorRole::router},
      {"blk.0.exp_probs_b.bias", TensorRole::router},
      {"blk.0.ffn_gate_inp_shexp.weight", TensorRole::shared_expert},
      {"blk.0.ffn_down_shexp.weight", TensorRole::shared_expert},
      {"blk.0.ffn_down.weight", TensorRole::dense_ffn},
      {"blk.0.ffn_gate_up_exps.weight", TensorRole::expert},
      {"blk.0.ffn_up_chexps.weight", TensorRole::expert},
      {"blk.0.ffn_up_exps.bias", TensorRole::other},
      {"blk.0.ffn_up_exps.scale", TensorRole::other},
      {"blk.0.ssm_in.weight", TensorRole::other},
      {"rope_freqs.weight", TensorRole::other},
      {"", TensorRole::other},
      {".", TensorRole::other},
  };
  for (const auto& [name, role] : cases) {
    EXPECT_STREQ(to_string(parse_tensor_name(name).role), to_string(role)) << name;
  }
}

TEST(TensorName, GivesLayers) {
  EXPECT_EQ(parse_tensor_name("blk.0.attn_q.weight").layer, 0);
  EXPECT_EQ(parse_tensor_name("blk.127.ffn_up_exps.weight").layer, 127);
  EXPECT_EQ(parse_tensor_name("dec.blk.7.attn_q.weight").layer, 7);
  for (const char* name : {"output.weight", "blk.", "blk.x.attn_q", "blk.-1.attn_q", "blk.5",
                           "blk.99999999999.attn_q", "notblk.3.attn_q"}) {
    EXPECT_EQ(parse_tensor_name(name).layer, -1) << name;
  }
}

TEST(TensorName, KnowsExpertsWithTheirOwnCount) {
  EXPECT_TRUE(parse_tensor_name("blk.0.ffn_up_chexps.weight").own_expert_count);
  EXPECT_FALSE(parse_tensor_name("blk.0.ffn_up_exps.weight").own_expert_count);
}

}  // namespace
}  // namespace hypura

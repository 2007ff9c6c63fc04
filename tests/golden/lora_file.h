#pragma once

#include <string>

namespace hypura::golden {

// Writes a LoRA of rank 4 with random weights for `model` to `path`: on attn_q, and on ffn_up of
// dense blocks or ffn_up_exps and ffn_down_exps of routed ones. False if the model cannot be read.
bool write_lora(const std::string& model, const std::string& path);

}  // namespace hypura::golden

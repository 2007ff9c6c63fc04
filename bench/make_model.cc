// hypura_make_model: writes a GGUF of a real shape with random weights, at the speed of the drive.
//
//   hypura_make_model --preset moe-7g --out build/models/moe-7g.gguf
//   hypura_make_model --preset moe-7g --routing skewed=1.0 --layers 4 --out small.gguf

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/clock.h"
#include "base/units.h"
#include "model_file.h"

namespace hypura {
namespace {

struct Options {
  std::string preset;
  std::string quant;  // empty: the preset's
  std::string routing = "uniform";
  std::string bytes_max = "64G";
  ModelShape shape;  // what the flags say; zero where they say nothing
  WeightOptions weights;
  ModelFileOptions file;
  bool list_presets = false;
  bool size = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--preset", options.preset, "a known shape, which the flags below change");
  app.add_flag("--list-presets", options.list_presets, "print the presets");
  app.add_option("--arch", options.shape.arch, "llama, qwen2, qwen3, qwen2moe or qwen3moe");
  app.add_option("--layers", options.shape.layers);
  app.add_option("--embd", options.shape.embd, "width of the residual");
  app.add_option("--ff", options.shape.ff, "width of a dense feed-forward");
  app.add_option("--heads", options.shape.heads);
  app.add_option("--kv-heads", options.shape.kv_heads);
  app.add_option("--head-dim", options.shape.head_dim, "default: embd / heads");
  app.add_option("--experts", options.shape.experts);
  app.add_option("--used", options.shape.used, "experts a token goes to");
  app.add_option("--expert-ff", options.shape.expert_ff);
  app.add_option("--shared-ff", options.shape.shared_ff);
  app.add_option("--vocab", options.shape.vocab, "512 to 262144");
  app.add_option("--quant", options.quant,
                 "a ggml type, q4_k_m or q5_k_m (default: the preset's, or q4_k_m)");
  app.add_option("--routing", options.routing, "uniform, or skewed=Z: popularity as rank^-Z")
      ->capture_default_str();
  app.add_option("--seed", options.weights.seed)->capture_default_str();
  app.add_option("--echo", options.weights.echo_from,
                 "layers from this one on add little, so that the first ones can draft for all");
  app.add_option("--truncate", options.weights.layers_kept,
                 "write only the first so many layers, as they are in the whole model");
  app.add_option("--split", options.file.shards, "number of shards")->capture_default_str();
  app.add_option("--max-size", options.bytes_max, "refuse to write more")->capture_default_str();
  app.add_flag("--sparse", options.file.sparse,
               "the weights are holes, which take no room: for `hypura plan` and `estimate`");
  app.add_flag("--size", options.size, "print the bytes of the weights and write nothing");
  app.add_option("--out", options.file.path, "the file to write");
}

void print_presets() {
  for (const Preset& preset : presets()) fmt::print("{:12} {}\n", preset.name, preset.note);
}

// What the flags leave at zero comes from the preset.
ModelShape merge(const ModelShape& flags, const ModelShape& preset) {
  ModelShape shape = preset;
  if (!flags.arch.empty()) shape.arch = flags.arch;
  constexpr uint32_t ModelShape::*kSizes[] = {
      &ModelShape::layers,    &ModelShape::embd,      &ModelShape::ff,      &ModelShape::heads,
      &ModelShape::kv_heads,  &ModelShape::head_dim,  &ModelShape::experts, &ModelShape::used,
      &ModelShape::expert_ff, &ModelShape::shared_ff, &ModelShape::vocab};
  for (uint32_t ModelShape::*size : kSizes) {
    if (flags.*size != 0) shape.*size = flags.*size;
  }
  return shape;
}

Status invalid(std::string message) {
  return Status(StatusCode::invalid_argument, std::move(message));
}

Result<Preset> choose_preset(const Options& options) {
  if (options.preset.empty()) return Preset{.shape = {.vocab = 32000}};
  if (const Preset* found = find_preset(options.preset)) return *found;
  return invalid(fmt::format("unknown preset '{}'", options.preset)).suggest("--list-presets");
}

Result<double> parse_routing(const std::string& text) {
  constexpr std::string_view kSkewed = "skewed=";
  if (text == "uniform") return 0.0;
  double zipf = 0;
  if (text.starts_with(kSkewed) && CLI::detail::lexical_cast(text.substr(kSkewed.size()), zipf) &&
      zipf > 0 && zipf <= 4) {
    return zipf;
  }
  return invalid(fmt::format("bad --routing '{}'", text))
      .suggest("uniform, or skewed=Z, 0 < Z <= 4");
}

Status check_room(const Options& options, uint64_t bytes) {
  const std::optional<uint64_t> bytes_max = parse_bytes(options.bytes_max);
  if (!bytes_max) return invalid(fmt::format("bad --max-size '{}'", options.bytes_max));
  if (bytes > *bytes_max) {
    return invalid(fmt::format("the model needs {}, --max-size is {}", format_bytes(bytes),
                               format_bytes(*bytes_max)))
        .suggest("fewer --layers, or a larger --max-size");
  }
  const std::filesystem::path path = std::filesystem::absolute(options.file.path);
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(path.parent_path(), error);
  if (error) return invalid(fmt::format("{}: {}", path.parent_path().string(), error.message()));
  if (space.available < bytes + kGiB) {
    return Status(StatusCode::failed,
                  fmt::format("the model needs {}, {} has {} free, of which 1 GiB is to stay free",
                              format_bytes(bytes), path.parent_path().string(),
                              format_bytes(space.available)));
  }
  return {};
}

Status run(Options& options) {
  if (options.list_presets) return print_presets(), Status();
  if (options.file.path.empty() && !options.size) return invalid("--out is missing");
  const Result<Preset> preset = choose_preset(options);
  if (!preset.ok()) return preset.status();
  const ModelShape shape = merge(options.shape, preset->shape);
  if (const auto fault = find_fault(shape)) return invalid(*fault);
  options.weights.quant = options.quant.empty() ? std::string(preset->quant) : options.quant;
  const Result<double> zipf = parse_routing(options.routing);
  if (!zipf.ok()) return zipf.status();
  options.weights.zipf = *zipf;
  options.weights.silent_tokens = silent_token_count();

  for (const uint32_t layers : {options.weights.echo_from, options.weights.layers_kept}) {
    if (layers <= shape.layers) continue;
    return invalid(fmt::format("the model has {} layers, not {}", shape.layers, layers));
  }

  const auto tensors = list_tensors(shape, options.weights);
  if (!tensors.ok()) return tensors.status();
  uint64_t bytes = 0;
  for (const TensorSpec& spec : *tensors) bytes += spec.bytes();
  if (options.size) return fmt::print("{}\n", bytes), Status();
  if (!options.file.sparse) {
    Status status = check_room(options, bytes);
    if (!status.ok()) return status;
  }

  const double begin = now_seconds();
  const auto paths = write_model(shape, options.weights, options.file);
  if (!paths.ok()) return paths.status();
  const double seconds = now_seconds() - begin;
  for (const std::string& path : *paths) fmt::print("{}\n", path);
  fmt::print(stderr, "{} in {} tensors, {:.1f} s\n", format_bytes(bytes), tensors->size(),
             seconds);
  return {};
}

}  // namespace
}  // namespace hypura

int main(int argc, char** argv) {
  CLI::App app("Writes a GGUF of a real shape with random weights");
  hypura::Options options;
  hypura::add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  const hypura::Status status = hypura::run(options);
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.to_string());
  return status.code() == hypura::StatusCode::invalid_argument ? 2 : 1;
}

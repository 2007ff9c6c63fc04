#include "server/model_facts.h"

#include "model/gguf_reader.h"
#include "model/model_index.h"

namespace hypura {
namespace {

ModelFacts read_facts(const CatalogModel& model) {
  ModelFacts facts{.name = model.name};
  const Result<GgufFile> file = GgufFile::open(model.path);
  const Result<ModelIndex> index = ModelIndex::open(model.path);
  if (!file.ok() || !index.ok()) return facts;
  const ModelInfo& info = index->info();
  facts.architecture = info.architecture;
  facts.quantization = info.quantization;
  facts.parameter_count = info.parameter_count;
  facts.context_length = info.context_length;
  facts.embedding_length = info.embedding_length;
  facts.embeds = info.has_pooling;
  facts.template_text = file->text("tokenizer.chat_template");
  const auto mentions = [&](const char* word) {
    return facts.template_text.find(word) != std::string::npos;
  };
  // As llama.cpp and Ollama see it: by what the template speaks of.
  facts.can_call_tools = mentions("tools");
  facts.can_think = mentions("<think>") || mentions("enable_thinking") || mentions("reasoning");
  facts.can_insert = file->has("tokenizer.ggml.fim_pre_token_id") ||
                     file->has("tokenizer.ggml.prefix_token_id");
  return facts;
}

}  // namespace

std::shared_ptr<const ModelFacts> FactsCache::of(const CatalogModel& model) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[model.path];
  if (entry.facts == nullptr || entry.modified_ns != model.modified_ns ||
      entry.facts->name != model.name) {
    entry = {.modified_ns = model.modified_ns,
             .facts = std::make_shared<const ModelFacts>(read_facts(model))};
  }
  return entry.facts;
}

}  // namespace hypura

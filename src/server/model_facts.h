#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/catalog.h"

namespace hypura {

// What a model's file says of it, and what follows for protocols.
struct ModelFacts {
  std::string name;
  std::string architecture;  // empty: the file cannot be read
  std::string quantization;
  std::string template_text;  // of chats; empty: it has none
  uint64_t parameter_count = 0;
  uint64_t context_length = 0;
  uint64_t embedding_length = 0;
  bool embeds = false;  // it was made for embeddings
  bool can_call_tools = false;
  bool can_think = false;
  bool can_insert = false;  // between a prefix and a suffix
};

// Facts of models, read once while their files stay as they are. From any thread.
class FactsCache {
 public:
  std::shared_ptr<const ModelFacts> of(const CatalogModel& model);

 private:
  struct Entry {
    int64_t modified_ns = 0;
    std::shared_ptr<const ModelFacts> facts;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // by path
};

}  // namespace hypura

#include "machine/profile_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <vector>

#include "base/hash.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepthMax = 16;
constexpr size_t kTextMax = 4096;
constexpr size_t kListMax = 1024;

// The bounds of what a machine can be, generously.
constexpr double kGbpsMax = 1e5;
constexpr double kBatchGbpsMax = 1e8;  // times tokens
constexpr double kSpreadMax = 1e3;
constexpr double kMicrosecondsMax = 1e9;
constexpr uint64_t kBytesMax = uint64_t{1} << 50;
constexpr uint64_t kReadBytesMax = uint64_t{1} << 30;
constexpr uint64_t kCountMax = 1 << 16;

// Profile to JSON. With Reader below it names every key once more; `transfer` does for both.
class Writer {
 public:
  template <class T, class Bound>
  void number(const char* key, T& value, Bound) {
    json_[key] = value;
  }
  void text(const char* key, std::string& value) { json_[key] = value; }
  void flag(const char* key, bool& value) { json_[key] = value; }
  void texts(const char* key, std::vector<std::string>& values) { json_[key] = values; }
  template <class T>
  void object(const char* key, T& value) {
    Writer writer;
    transfer(writer, value);
    json_[key] = std::move(writer.json_);
  }
  template <class T>
  void objects(const char* key, std::vector<T>& values) {
    json_[key] = Json::array();
    for (T& value : values) {
      Writer writer;
      transfer(writer, value);
      json_[key].push_back(std::move(writer.json_));
    }
  }

  Json json_ = Json::object();
};

// JSON to profile. Keeps the first thing that is wrong; after it nothing more is read.
class Reader {
 public:
  Reader(const Json& json, std::string path, std::string& error)
      : json_(json), path_(std::move(path)), error_(error) {
    if (!json.is_object()) refuse("", "is no object");
  }

  template <class T, class Bound>
  void number(const char* key, T& value, Bound max) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_number()) return refuse(key, "is no number");
    const double as_double = found->template get<double>();
    if (!std::isfinite(as_double)) return refuse(key, "is not finite");
    if (as_double < 0) return refuse(key, fmt::format("is negative: {}", as_double));
    if (as_double > static_cast<double>(max)) {
      return refuse(key, fmt::format("is {}, more than any machine has ({})", as_double, max));
    }
    if (std::is_integral_v<T> && !found->is_number_integer()) {
      return refuse(key, fmt::format("is {}, no whole number", as_double));
    }
    value = found->template get<T>();
  }

  void text(const char* key, std::string& value) {
    const Json* found = find(key);
    if (found != nullptr) take_text(key, *found, value);
  }

  void flag(const char* key, bool& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_boolean()) return refuse(key, "is neither true nor false");
    value = found->get<bool>();
  }

  void texts(const char* key, std::vector<std::string>& values) {
    const Json* found = find_list(key);
    if (found == nullptr) return;
    for (const Json& element : *found) take_text(key, element, values.emplace_back());
  }

  template <class T>
  void object(const char* key, T& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    Reader reader(*found, path_ + key + ".", error_);
    transfer(reader, value);
  }

  template <class T>
  void objects(const char* key, std::vector<T>& values) {
    const Json* found = find_list(key);
    if (found == nullptr) return;
    for (const Json& element : *found) {
      Reader reader(element, fmt::format("{}{}[{}].", path_, key, values.size()), error_);
      transfer(reader, values.emplace_back());
    }
  }

 private:
  const Json* find(const char* key) const {
    if (!error_.empty()) return nullptr;
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  const Json* find_list(const char* key) {
    const Json* found = find(key);
    if (found == nullptr) return nullptr;
    if (!found->is_array()) return refuse(key, "is no list"), nullptr;
    if (found->size() > kListMax) {
      return refuse(key, fmt::format("has {} elements, at most {} are read", found->size(),
                                     kListMax)),
             nullptr;
    }
    return found;
  }

  void take_text(const char* key, const Json& json, std::string& value) {
    if (!json.is_string()) return refuse(key, "is no text");
    const std::string& text = json.get_ref<const std::string&>();
    if (text.size() > kTextMax) return refuse(key, fmt::format("is longer than {}", kTextMax));
    // They would reach a terminal.
    const bool control = std::any_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (control) return refuse(key, "has control characters");
    value = text;
  }

  void refuse(const std::string& key, const std::string& what) {
    if (!error_.empty()) return;
    std::string name = path_ + key;
    if (name.ends_with('.')) name.pop_back();
    error_ = fmt::format("{} {}", name.empty() ? "it" : name, what);
  }

  const Json& json_;
  std::string path_;  // of the object, with a dot at its end
  std::string& error_;
};

template <class Side>
void transfer(Side& side, DriveSample& sample) {
  side.number("read_bytes", sample.read_bytes, kReadBytesMax);
  side.number("depth", sample.depth, kCountMax);
  side.flag("sequential", sample.sequential);
  side.number("gbps", sample.gbps, kGbpsMax);
  side.number("spread", sample.spread, kSpreadMax);
  side.number("latency_us", sample.latency_us, kMicrosecondsMax);
}

template <class Side>
void transfer(Side& side, DriveProfile& drive) {
  side.text("device", drive.device);
  side.text("filesystem", drive.filesystem);
  side.flag("direct", drive.direct);
  side.number("sequential_gbps", drive.sequential_gbps, kGbpsMax);
  side.number("scattered_gbps", drive.scattered_gbps, kGbpsMax);
  side.number("knee_depth", drive.knee_depth, kCountMax);
  side.number("cached_gbps", drive.cached_gbps, kGbpsMax);
  side.number("paged_gbps", drive.paged_gbps, kGbpsMax);
  side.number("spread", drive.spread, kSpreadMax);
  side.number("beside_share", drive.beside_share, 1);
  side.number("read_cpu_us", drive.read_cpu_us, kMicrosecondsMax);
  side.objects("samples", drive.samples);
}

template <class Side>
void transfer(Side& side, ComputeSample& sample) {
  side.text("type", sample.type);
  side.number("threads", sample.threads, kCountMax);
  side.number("token_gbps", sample.token_gbps, kGbpsMax);
  side.number("batch_gbps", sample.batch_gbps, kBatchGbpsMax);
  side.number("expert_gbps", sample.expert_gbps, kGbpsMax);
  side.number("spread", sample.spread, kSpreadMax);
}

template <class Side>
void transfer(Side& side, NodeSample& sample) {
  side.number("threads", sample.threads, kCountMax);
  side.number("node_us", sample.node_us, kMicrosecondsMax);
}

template <class Side>
void transfer(Side& side, MemoryProfile& memory) {
  side.number("total_bytes", memory.total_bytes, kBytesMax);
  side.number("limit_bytes", memory.limit_bytes, kBytesMax);
  side.number("read_gbps", memory.read_gbps, kGbpsMax);
  side.number("touch_gbps", memory.touch_gbps, kGbpsMax);
}

template <class Side>
void transfer(Side& side, GpuProfile& gpu) {
  side.text("name", gpu.name);
  side.text("backend", gpu.backend);
  side.number("total_bytes", gpu.total_bytes, kBytesMax);
  side.number("working_set_bytes", gpu.working_set_bytes, kBytesMax);
  side.number("memory_gbps", gpu.memory_gbps, kGbpsMax);
  side.number("upload_gbps", gpu.upload_gbps, kGbpsMax);
  side.flag("unified", gpu.unified);
  side.objects("compute", gpu.compute);
}

template <class Side>
void transfer(Side& side, MachineProfile& profile) {
  side.text("name", profile.name);
  side.text("source", profile.source);
  side.text("date", profile.date);
  side.text("cpu", profile.cpu);
  side.text("system", profile.system);
  side.number("cores", profile.cores, kCountMax);
  side.number("logical_cores", profile.logical_cores, kCountMax);
  side.texts("simd", profile.simd);
  side.texts("warnings", profile.warnings);
  side.object("memory", profile.memory);
  side.object("drive", profile.drive);
  side.number("graph_overhead_us", profile.graph_overhead_us, kMicrosecondsMax);
  side.objects("nodes", profile.nodes);
  side.objects("compute", profile.compute);
  side.objects("gpus", profile.gpus);
}

Status refused(std::string why) {
  return Status(StatusCode::failed, "this is no machine profile").because(std::move(why));
}

// The deepest nesting of brackets outside of strings: checked before anything recurses into them.
int depth_of(std::string_view text) {
  int depth = 0;
  int most = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '[' || c == '{') most = std::max(most, ++depth);
    if (c == ']' || c == '}') --depth;
  }
  return most;
}

std::string where(std::string_view text, size_t byte) {
  const size_t end = std::min(byte == 0 ? 0 : byte - 1, text.size());
  const std::string_view before = text.substr(0, end);
  const size_t line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const size_t column = end - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  return fmt::format("line {}, column {}", line, column);
}

Status check_schema(const Json& json) {
  const auto schema = json.is_object() ? json.find("schema") : json.end();
  if (!json.is_object()) return refused("it is no JSON object");
  if (schema == json.end() || !schema->is_number_integer()) return refused("it has no schema");
  if (*schema == MachineProfile::kSchema) return Status();
  return Status(StatusCode::failed, fmt::format("a machine profile of schema {}", schema->dump()))
      .because(fmt::format("this version knows schema {}", MachineProfile::kSchema))
      .suggest("hypura profile --force");
}

}  // namespace

std::string profile_json(const MachineProfile& profile) {
  Writer writer;
  writer.json_["schema"] = MachineProfile::kSchema;
  MachineProfile copy = profile;  // transfer() is for both directions
  transfer(writer, copy);
  return writer.json_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<MachineProfile> parse_profile(std::string_view text) {
  if (text.size() > kProfileBytesMax) {
    return refused(fmt::format("it has more than {} bytes", kProfileBytesMax));
  }
  if (const int depth = depth_of(text); depth > kDepthMax) {
    return refused(fmt::format("it is nested {} deep, at most {} are read", depth, kDepthMax));
  }
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    return refused(fmt::format("no JSON at {}", where(text, error.byte)));
  } catch (const Json::exception&) {
    return refused("a number in it is too large for any machine");
  }
  if (Status status = check_schema(json); !status.ok()) return status;
  MachineProfile profile;
  std::string error;
  Reader reader(json, "", error);
  transfer(reader, profile);
  if (!error.empty()) return refused(std::move(error));
  return profile;
}

std::string profile_id(const MachineProfile& profile) {
  MachineProfile lasting = profile;
  lasting.memory.limit_bytes = 0;
  Fnv1a hash;
  hash.add_bytes(profile_json(lasting));
  return fmt::format("{:016x}", hash.value());
}

}  // namespace hypura

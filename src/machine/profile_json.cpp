#include "machine/profile_json.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kListMax = 1024;

// Reads or writes members by key: the same list serves both ways, so that neither forgets one.
class Reader {
 public:
  Reader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json_.is_object()) fail("is not an object");
  }

  const std::string& fault() const { return fault_; }

  void operator()(const char* key, std::string& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_string()) return fail(fmt::format("{} is no text", key));
    value = found->get<std::string>();
  }
  void operator()(const char* key, bool& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_boolean()) return fail(fmt::format("{} is neither true nor false", key));
    value = found->get<bool>();
  }
  template <class Number>
  requires std::is_arithmetic_v<Number>
  void operator()(const char* key, Number& value) {
    const Json* found = find(key);
    if (found == nullptr) return;
    const double number = found->is_number() ? found->get<double>() : -1;
    const double most = std::is_integral_v<Number>
                            ? static_cast<double>(std::numeric_limits<Number>::max()) / 2
                            : 1e18;
    if (!std::isfinite(number) || number < 0 || number > most) {
      return fail(fmt::format("{} is no number from 0 to {:g}", key, most));
    }
    value = static_cast<Number>(number);
  }
  void operator()(const char* key, std::vector<std::string>& list) {
    const Json* found = find_list(key);
    if (found == nullptr) return;
    list.clear();
    for (const Json& item : *found) {
      if (!item.is_string()) return fail(fmt::format("{} holds what is no text", key));
      list.push_back(item.get<std::string>());
    }
  }
  template <class Object>
  requires std::is_class_v<Object>
  void operator()(const char* key, Object& object) {
    if (const Json* found = find(key)) nested(*found, key, object);
  }
  template <class Object>
  void operator()(const char* key, std::vector<Object>& list) {
    const Json* found = find_list(key);
    if (found == nullptr) return;
    list.clear();
    for (const Json& item : *found) nested(item, key, list.emplace_back());
  }

 private:
  template <class Object>
  void nested(const Json& json, const char* key, Object& object) {
    Reader reader(json, key);
    if (reader.fault_.empty()) members(reader, object);
    if (fault_.empty()) fault_ = reader.fault_;
  }
  const Json* find(const char* key) const {
    if (!fault_.empty()) return nullptr;
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  const Json* find_list(const char* key) {
    const Json* found = find(key);
    if (found == nullptr) return nullptr;
    if (found->is_array() && found->size() <= kListMax) return found;
    fail(fmt::format("{} is no list of at most {}", key, kListMax));
    return nullptr;
  }
  void fail(const std::string& what) {
    if (fault_.empty()) fault_ = fmt::format("{}: {}", where_, what);
  }

  const Json& json_;
  std::string where_;
  std::string fault_;
};

class Writer {
 public:
  explicit Writer(Json& json) : json_(json) {}
  template <class Value>
  void operator()(const char* key, const Value& value) {
    if constexpr (std::is_same_v<Value, std::string> || std::is_arithmetic_v<Value> ||
                  std::is_same_v<Value, std::vector<std::string>>) {
      json_[key] = value;
    } else {
      json_[key] = object_of(value);
    }
  }

 private:
  template <class Object>
  static Json object_of(const std::vector<Object>& list) {
    Json array = Json::array();
    for (const Object& item : list) array.push_back(object_of(item));
    return array;
  }
  template <class Object>
  static Json object_of(const Object& object) {
    Json json = Json::object();
    Writer writer(json);
    members(writer, object);
    return json;
  }
  Json& json_;
};

template <class Visit, class T>
requires std::is_same_v<std::remove_const_t<T>, DriveSample>
void members(Visit& visit, T& sample) {
  visit("read_bytes", sample.read_bytes);
  visit("depth", sample.depth);
  visit("sequential", sample.sequential);
  visit("gbps", sample.gbps);
  visit("spread", sample.spread);
  visit("latency_us", sample.latency_us);
}

template <class Visit, class T>
requires std::is_same_v<std::remove_const_t<T>, DriveProfile>
void members(Visit& visit, T& drive) {
  visit("device", drive.device);
  visit("filesystem", drive.filesystem);
  visit("direct", drive.direct);
  visit("samples", drive.samples);
  visit("sequential_gbps", drive.sequential_gbps);
  visit("scattered_gbps", drive.scattered_gbps);
  visit("knee_depth", drive.knee_depth);
  visit("cached_gbps", drive.cached_gbps);
  visit("paged_gbps", drive.paged_gbps);
  visit("spread", drive.spread);
}

template <class Visit, class T>
requires std::is_same_v<std::remove_const_t<T>, ComputeSample>
void members(Visit& visit, T& sample) {
  visit("type", sample.type);
  visit("threads", sample.threads);
  visit("token_gbps", sample.token_gbps);
  visit("batch_gbps", sample.batch_gbps);
  visit("expert_gbps", sample.expert_gbps);
}

template <class Visit, class T>
requires std::is_same_v<std::remove_const_t<T>, MemoryProfile>
void members(Visit& visit, T& memory) {
  visit("total_bytes", memory.total_bytes);
  visit("limit_bytes", memory.limit_bytes);
  visit("read_gbps", memory.read_gbps);
}

template <class Visit, class T>
requires std::is_same_v<std::remove_const_t<T>, GpuProfile>
void members(Visit& visit, T& gpu) {
  visit("name", gpu.name);
  visit("backend", gpu.backend);
  visit("total_bytes", gpu.total_bytes);
  visit("working_set_bytes", gpu.working_set_bytes);
  visit("memory_gbps", gpu.memory_gbps);
  visit("upload_gbps", gpu.upload_gbps);
  visit("unified", gpu.unified);
  visit("compute", gpu.compute);
}

template <class Visit, class T>
requires std::is_same_v<std::remove_const_t<T>, MachineProfile>
void members(Visit& visit, T& profile) {
  visit("name", profile.name);
  visit("source", profile.source);
  visit("date", profile.date);
  visit("cpu", profile.cpu);
  visit("system", profile.system);
  visit("cores", profile.cores);
  visit("logical_cores", profile.logical_cores);
  visit("simd", profile.simd);
  visit("memory", profile.memory);
  visit("compute", profile.compute);
  visit("graph_overhead_us", profile.graph_overhead_us);
  visit("drive", profile.drive);
  visit("gpus", profile.gpus);
  visit("warnings", profile.warnings);
}

Status invalid(const std::string& what) {
  return Status(StatusCode::invalid_argument, "not a machine profile: " + what);
}

}  // namespace

Result<MachineProfile> parse_machine_profile(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return invalid("no JSON object");
  const auto schema = json.find("schema");
  if (schema == json.end() || !schema->is_number_integer() ||
      schema->get<int64_t>() != MachineProfile::kSchema) {
    return invalid(fmt::format("its schema is not {}", MachineProfile::kSchema));
  }
  MachineProfile profile;
  Reader reader(json, "profile");
  members(reader, profile);
  if (!reader.fault().empty()) return invalid(reader.fault());
  return profile;
}

std::string to_json(const MachineProfile& profile) {
  Json json = {{"schema", MachineProfile::kSchema}};
  Writer writer(json);
  members(writer, profile);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hypura

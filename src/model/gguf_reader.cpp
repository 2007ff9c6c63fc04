#include "model/gguf_reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <type_traits>

#include "ggml.h"
#include "gguf.h"
#include "model/gguf_bounds.h"
#include "model/model_file.h"
#include "model/printable.h"

namespace hypura {
namespace {

// GGUF wants a multiple of 8; kernels read weights in place.
constexpr uint64_t kAlignmentMin = 8;

// Collects the lines ggml logs on this thread while it lives, then restores the callback.
class LogCapture {
 public:
  LogCapture() : lock_(mutex()) {
    ggml_log_get(&previous_, &previous_data_);
    lines() = &text_;
    ggml_log_set(&LogCapture::append, nullptr);
  }
  ~LogCapture() {
    ggml_log_set(previous_, previous_data_);
    lines() = nullptr;
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  // The first line, without the name of the function that logged it.
  std::string first_line() const {
    std::string line = text_.substr(0, text_.find('\n'));
    const size_t colon = line.find(": ");
    if (colon != std::string::npos && line.find(' ') > colon) line.erase(0, colon + 2);
    return printable(line);
  }

 private:
  static constexpr size_t kTextBytesMax = 4096;

  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  static std::string*& lines() {
    thread_local std::string* instance = nullptr;
    return instance;
  }
  static void append(ggml_log_level, const char* line, void*) {
    std::string* text = lines();
    if (text != nullptr && text->size() < kTextBytesMax) text->append(line, strnlen(line, 1024));
  }

  std::lock_guard<std::mutex> lock_;
  std::string text_;
  ggml_log_callback previous_ = nullptr;
  void* previous_data_ = nullptr;
};

bool is_known_type(int type) {
  // Types that ggml removed keep their number, with a block size of 0.
  return type >= 0 && type < GGML_TYPE_COUNT && ggml_blck_size(static_cast<ggml_type>(type)) > 0;
}

// ggml's size of a tensor; nullopt if elements or bytes pass 2^63. gguf.cpp tests the product of
// the dimensions after it may have wrapped, so its word on this is not enough.
// REQUIRES: a known type, ne > 0, whole blocks in a row.
std::optional<uint64_t> tensor_bytes(int type, const std::array<int64_t, 4>& ne) {
  const ggml_type ggml = static_cast<ggml_type>(type);
  int64_t elements = 1;
  for (const int64_t n : ne) {
    if (__builtin_mul_overflow(elements, n, &elements)) return std::nullopt;
  }
  const int64_t blocks = elements / ggml_blck_size(ggml);
  int64_t bytes = 0;
  if (__builtin_mul_overflow(blocks, static_cast<int64_t>(ggml_type_size(ggml)), &bytes)) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(bytes);
}

// The largest of an array's values; nullopt if one is negative.
template <class T>
std::optional<uint64_t> largest(const void* data, size_t count) {
  uint64_t most = 0;
  for (size_t i = 0; i < count; ++i) {
    T value = 0;
    std::memcpy(&value, static_cast<const char*>(data) + i * sizeof(T), sizeof(T));
    if (std::is_signed_v<T> && value < T{0}) return std::nullopt;
    most = std::max(most, static_cast<uint64_t>(value));
  }
  return most;
}

std::optional<uint64_t> largest(gguf_type type, const void* data, size_t count) {
  switch (type) {
    case GGUF_TYPE_UINT8:
      return largest<uint8_t>(data, count);
    case GGUF_TYPE_INT8:
      return largest<int8_t>(data, count);
    case GGUF_TYPE_UINT16:
      return largest<uint16_t>(data, count);
    case GGUF_TYPE_INT16:
      return largest<int16_t>(data, count);
    case GGUF_TYPE_UINT32:
      return largest<uint32_t>(data, count);
    case GGUF_TYPE_INT32:
      return largest<int32_t>(data, count);
    case GGUF_TYPE_UINT64:
      return largest<uint64_t>(data, count);
    case GGUF_TYPE_INT64:
      return largest<int64_t>(data, count);
    default:
      return std::nullopt;
  }
}

template <class T>
T value_at(const void* data, size_t index) {
  T value{};
  std::memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof(T));
  return value;
}

// Of a type without texts.
MetadataScalar scalar_at(gguf_type type, const void* data, size_t index) {
  switch (type) {
    case GGUF_TYPE_UINT8: return uint64_t{value_at<uint8_t>(data, index)};
    case GGUF_TYPE_INT8: return int64_t{value_at<int8_t>(data, index)};
    case GGUF_TYPE_UINT16: return uint64_t{value_at<uint16_t>(data, index)};
    case GGUF_TYPE_INT16: return int64_t{value_at<int16_t>(data, index)};
    case GGUF_TYPE_UINT32: return uint64_t{value_at<uint32_t>(data, index)};
    case GGUF_TYPE_INT32: return int64_t{value_at<int32_t>(data, index)};
    case GGUF_TYPE_UINT64: return value_at<uint64_t>(data, index);
    case GGUF_TYPE_INT64: return value_at<int64_t>(data, index);
    case GGUF_TYPE_FLOAT32: return double{value_at<float>(data, index)};
    case GGUF_TYPE_FLOAT64: return value_at<double>(data, index);
    case GGUF_TYPE_BOOL: return value_at<int8_t>(data, index) != 0;
    default: return std::string();
  }
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// A second stream on the file, at its start; null with errno set if there are no descriptors left.
std::unique_ptr<std::FILE, CloseFile> stream_of(const ModelFile& file) {
  const int copy = dup(file.fd());
  std::FILE* stream = copy < 0 ? nullptr : fdopen(copy, "rb");
  if (copy >= 0 && stream == nullptr) close(copy);
  return std::unique_ptr<std::FILE, CloseFile>(stream);
}

}  // namespace

void GgufFile::Free::operator()(gguf_context* context) const { gguf_free(context); }

Result<GgufFile> GgufFile::open(const std::string& path) {
  Result<ModelFile> file = ModelFile::open(path);
  if (!file.ok()) return file.status();
  if (Status status = check_gguf_bounds(*file); !status.ok()) return status;

  const std::unique_ptr<std::FILE, CloseFile> stream = stream_of(*file);
  if (stream == nullptr) {
    return Status(StatusCode::failed, "cannot open " + path).because(std::strerror(errno));
  }
  const LogCapture log;
  std::unique_ptr<gguf_context, Free> context(
      gguf_init_from_file_ptr(stream.get(), {.no_alloc = true, .ctx = nullptr}));
  if (context == nullptr) {
    return invalid_model(path, "the GGUF header is not valid").because(log.first_line());
  }
  if (gguf_get_alignment(context.get()) % kAlignmentMin != 0) {
    return invalid_model(path, fmt::format("general.alignment is {}, not a multiple of {}",
                                           gguf_get_alignment(context.get()), kAlignmentMin));
  }
  Shard shard{
      .path = path, .bytes = file->bytes(), .data_offset = gguf_get_data_offset(context.get())};
  return GgufFile(std::move(shard), std::move(context));
}

Result<std::vector<TensorInfo>> GgufFile::tensors() const {
  std::vector<TensorInfo> tensors;
  const int64_t count = gguf_get_n_tensors(context_.get());
  tensors.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    Result<TensorInfo> info = tensor(i);
    if (!info.ok()) return info.status();
    tensors.push_back(*std::move(info));
  }
  return tensors;
}

Result<TensorInfo> GgufFile::tensor(int64_t index) const {
  TensorInfo info;
  info.name = gguf_get_tensor_name(context_.get(), index);
  if (info.name.empty())
    return invalid_model(shard_.path, fmt::format("tensor {} has no name", index));
  const std::string shown = printable(info.name);

  info.type = gguf_get_tensor_type(context_.get(), index);
  if (!is_known_type(info.type)) {
    return invalid_model(shard_.path,
                         fmt::format("tensor '{}' has the unknown type {}", shown, info.type));
  }
  std::copy_n(gguf_get_tensor_ne(context_.get(), index), info.ne.size(), info.ne.begin());
  if (*std::min_element(info.ne.begin(), info.ne.end()) <= 0) {
    return invalid_model(shard_.path,
                         fmt::format("tensor '{}' has the shape {} x {} x {} x {}, which is empty",
                                     shown, info.ne[0], info.ne[1], info.ne[2], info.ne[3]));
  }
  const int64_t block = ggml_blck_size(static_cast<ggml_type>(info.type));
  const std::optional<uint64_t> bytes = tensor_bytes(info.type, info.ne);
  if (info.ne[0] % block != 0 || !bytes.has_value()) {
    return invalid_model(
        shard_.path,
        fmt::format("tensor '{}' cannot have the shape {} x {} x {} x {} in {}", shown, info.ne[0],
                    info.ne[1], info.ne[2], info.ne[3], type_name(info.type)));
  }
  info.bytes = *bytes;

  const uint64_t relative = gguf_get_tensor_offset(context_.get(), index);
  uint64_t end = 0;
  if (__builtin_add_overflow(shard_.data_offset, relative, &info.offset) ||
      __builtin_add_overflow(info.offset, info.bytes, &end)) {
    return invalid_model(shard_.path,
                         fmt::format("tensor '{}' has the impossible offset {}", shown, relative));
  }
  if (end > shard_.bytes) {
    return invalid_model(shard_.path, fmt::format("tensor '{}' ends at byte {}, the file has {}",
                                                  shown, end, shard_.bytes))
        .suggest("the download may be incomplete: fetch the file again");
  }
  return info;
}

std::string GgufFile::text(const std::string& key) const {
  const int64_t id = gguf_find_key(context_.get(), key.c_str());
  if (id < 0 || gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_STRING) return "";
  return gguf_get_val_str(context_.get(), id);
}

std::optional<uint64_t> GgufFile::integer(const std::string& key) const {
  const int64_t id = gguf_find_key(context_.get(), key.c_str());
  if (id < 0) return std::nullopt;
  const gguf_type type = gguf_get_kv_type(context_.get(), id);
  if (type == GGUF_TYPE_STRING) return std::nullopt;
  if (type != GGUF_TYPE_ARRAY) return largest(type, gguf_get_val_data(context_.get(), id), 1);

  const gguf_type element = gguf_get_arr_type(context_.get(), id);
  const size_t count = gguf_get_arr_n(context_.get(), id);
  if (element == GGUF_TYPE_STRING || count == 0) return std::nullopt;
  return largest(element, gguf_get_arr_data(context_.get(), id), count);
}

uint64_t GgufFile::array_length(const std::string& key) const {
  const int64_t id = gguf_find_key(context_.get(), key.c_str());
  if (id < 0 || gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_ARRAY) return 0;
  return gguf_get_arr_n(context_.get(), id);
}

bool GgufFile::has(const std::string& key) const {
  return gguf_find_key(context_.get(), key.c_str()) >= 0;
}

const char* type_name(int ggml_type_number) {
  static const std::array<std::string, GGML_TYPE_COUNT> names = [] {
    std::array<std::string, GGML_TYPE_COUNT> upper;
    for (int type = 0; type < GGML_TYPE_COUNT; ++type) {
      if (!is_known_type(type)) continue;
      for (const char* c = ggml_type_name(static_cast<ggml_type>(type)); *c != '\0'; ++c) {
        upper[type] += static_cast<char>(std::toupper(static_cast<unsigned char>(*c)));
      }
    }
    return upper;
  }();
  return is_known_type(ggml_type_number) ? names[ggml_type_number].c_str() : "unknown";
}

std::vector<MetadataEntry> GgufFile::metadata(bool arrays) const {
  std::vector<MetadataEntry> entries;
  for (int64_t i = 0; i < gguf_get_n_kv(context_.get()); ++i) {
    MetadataEntry& entry = entries.emplace_back();
    entry.key = gguf_get_key(context_.get(), i);
    const gguf_type type = gguf_get_kv_type(context_.get(), i);
    if (type == GGUF_TYPE_STRING) {
      entry.scalar = std::string(gguf_get_val_str(context_.get(), i));
    } else if (type != GGUF_TYPE_ARRAY) {
      entry.scalar = scalar_at(type, gguf_get_val_data(context_.get(), i), 0);
    } else if (arrays) {
      const gguf_type of = gguf_get_arr_type(context_.get(), i);
      for (size_t n = 0; n < gguf_get_arr_n(context_.get(), i); ++n) {
        entry.array.push_back(
            of == GGUF_TYPE_STRING
                ? MetadataScalar(std::string(gguf_get_arr_str(context_.get(), i, n)))
                : scalar_at(of, gguf_get_arr_data(context_.get(), i), n));
      }
    }
  }
  return entries;
}

}  // namespace hypura

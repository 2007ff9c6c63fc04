#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

#include "cpp-httplib/httplib.h"
#include "nlohmann/json.hpp"
#include "server/json_text.h"
#include "server/ollama/routes.h"
#include "server/proxy.h"
#include "store/digest.h"
#include "store/own_files.h"

namespace hypura::ollama {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSha256 = "sha256:";
constexpr size_t kHexDigits = 64;
constexpr std::chrono::milliseconds kLookEvery{50};
constexpr const char* kLines = "application/x-ndjson";

int code_of(const Status& status) {
  return status.code() == StatusCode::invalid_argument ? 400 : 500;
}

void refuse(httplib::Response& response, int code, const Status& status) {
  answer_error(response, Protocol::ollama, code, one_line(status));
}

// Lines of progress, from the thread that works to the one that answers.
class Lines {
 public:
  void push(const Json& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(json_text(line) + "\n");
    changed_.notify_all();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  // False: there will be no more. Empty text: none yet.
  bool take(std::string& text) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLookEvery, [this] { return ended_ || !lines_.empty(); });
    text.clear();
    for (const std::string& line : lines_) text += line;
    lines_.clear();
    return !ended_ || !text.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  bool ended_ = false;
};

// A pull in a thread of its own, for as long as somebody listens.
struct Pull {
  ~Pull() {
    stop.store(true);
    if (worker.joinable()) worker.join();
  }
  Lines lines;
  std::atomic<bool> stop = false;
  std::thread worker;
};

Json progress_line(const PullProgress& progress) {
  Json line = {{"status", progress.status}};
  if (!progress.digest.empty()) line["digest"] = progress.digest;
  if (progress.total > 0) {
    line["total"] = progress.total;
    line["completed"] = progress.completed;
  }
  return line;
}

void pull_model(Service& service, const httplib::Request& request, httplib::Response& response) {
  const std::optional<Json> body = json_body(request, response, Protocol::ollama);
  if (!body.has_value()) return;
  const std::string name = name_in(*body, response);
  if (name.empty()) return;
  const auto pull = std::make_shared<Pull>();
  PullOptions options = service.pull;
  options.http.stop = &pull->stop;
  const bool stream = body->value("stream", Json(true)) != false;
  if (!stream) {
    options.tell = [&](const PullProgress&) {
      if (request.is_connection_closed()) pull->stop.store(true);
    };
    const Result<StoredModel> model = hypura::pull(*service.store, name, options);
    if (!model.ok()) return refuse(response, code_of(model.status()), model.status());
    response.set_content(R"({"status":"success"})", "application/json; charset=utf-8");
    return;
  }
  // The Pull joins the worker in the end: it outlives what the worker uses.
  Pull* working = pull.get();
  options.tell = [working](const PullProgress& progress) {
    working->lines.push(progress_line(progress));
  };
  pull->worker = std::thread([working, &service, name, options = std::move(options)] {
    const Result<StoredModel> model = hypura::pull(*service.store, name, options);
    if (!model.ok()) working->lines.push({{"error", one_line(model.status())}});
    working->lines.end();
  });
  response.set_chunked_content_provider(
      kLines, [pull, is_gone = request.is_connection_closed](size_t, httplib::DataSink& sink) {
        std::string text;
        const bool more = pull->lines.take(text);
        if (is_gone()) return false;
        if (!text.empty() && !sink.write(text.data(), text.size())) return false;
        if (!more) sink.done();
        return true;
      });
}

// A model that the command line names comes into the store as one that is pulled from its path.
Result<StoredModel> copy_of(const Service& service, const CatalogModel& model,
                            const std::string& name) {
  if (service.store->find(model.name).ok()) return service.store->copy(model.name, name);
  PullOptions options = service.pull;
  options.names_only = false;
  options.name = name;
  return hypura::pull(*service.store, model.path, options);
}

void copy_model(Service& service, const httplib::Request& request, httplib::Response& response) {
  const std::optional<Json> body = json_body(request, response, Protocol::ollama);
  if (!body.has_value()) return;
  const Json from = body->value("source", Json());
  const Json to = body->value("destination", Json());
  if (!from.is_string() || !to.is_string()) {
    return answer_error(response, Protocol::ollama, 400, "source and destination are required");
  }
  const Result<CatalogModel> model = service.catalog.find(from.get<std::string>());
  if (!model.ok()) return refuse(response, 404, model.status());
  const Result<StoredModel> copied = copy_of(service, *model, to.get<std::string>());
  if (!copied.ok()) return refuse(response, code_of(copied.status()), copied.status());
}

void delete_model(Service& service, const httplib::Request& request, httplib::Response& response) {
  const std::optional<Json> body = json_body(request, response, Protocol::ollama);
  if (!body.has_value()) return;
  const std::string name = name_in(*body, response);
  if (name.empty()) return;
  const Result<StoredModel> model = service.store->find(name);
  if (!model.ok()) return refuse(response, 404, model.status());
  service.broker.unload(model->name);
  if (Status status = service.store->remove(name); !status.ok()) {
    refuse(response, code_of(status), status);
  }
}

// The file of an uploaded blob, named by its digest. Empty: that is none.
std::string blob_path(const Service& service, std::string_view digest) {
  if (digest.starts_with(kSha256)) digest.remove_prefix(kSha256.size());
  const bool hex = digest.size() == kHexDigits &&
                   digest.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!hex) return std::string();
  return fmt::format("{}/.blobs/sha256-{}", service.store->folders().models, digest);
}

void has_blob(const Service& service, const httplib::Request& request,
              httplib::Response& response) {
  std::error_code error;
  const std::string path = blob_path(service, request.matches[1].str());
  if (path.empty()) {
    answer_error(response, Protocol::ollama, 400, "invalid digest format");
  } else if (!std::filesystem::exists(path, error)) {
    answer_error(response, Protocol::ollama, 404, "no such blob");
  }
}

// A blob while it arrives: gone again unless it was kept.
class Upload {
 public:
  explicit Upload(std::string path)
      : path_(std::move(path)),
        file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}
  ~Upload() {
    if (file_ >= 0) ::close(file_);
    if (!kept_) ::unlink(path_.c_str());
  }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  bool is_open() const { return file_ >= 0; }
  bool write(const char* bytes, size_t count) {
    digest_.add({bytes, count});
    while (count > 0) {
      const ssize_t written = ::write(file_, bytes, count);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      bytes += written;
      count -= static_cast<size_t>(written);
    }
    return true;
  }
  std::string digest() { return digest_.hex(); }
  bool keep_as(const std::string& path) {
    kept_ = ::fsync(file_) == 0 && ::rename(path_.c_str(), path.c_str()) == 0;
    return kept_;
  }

 private:
  std::string path_;
  int file_;
  Sha256 digest_;
  bool kept_ = false;
};

void take_blob(const Service& service, const httplib::Request& request,
               httplib::Response& response, const httplib::ContentReader& reader) {
  const std::string digest = request.matches[1].str();
  const std::string path = blob_path(service, digest);
  if (path.empty()) {
    return answer_error(response, Protocol::ollama, 400, "invalid digest format");
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  Upload upload(fmt::format("{}.partial-{}", path,
                            std::hash<std::thread::id>()(std::this_thread::get_id())));
  bool written = upload.is_open();
  int failure = errno;
  const bool whole = written && reader([&](const char* bytes, size_t count) {
    written = upload.write(bytes, count);
    failure = errno;
    return written;
  });
  if (!written) {
    return answer_error(response, Protocol::ollama, 500,
                        fmt::format("cannot write {}: {}", path, std::strerror(failure)));
  }
  if (!whole) return answer_error(response, Protocol::ollama, 400, "the upload broke off");
  if (kSha256.data() + upload.digest() != digest) {
    return answer_error(response, Protocol::ollama, 400, "digest mismatch");
  }
  if (!upload.keep_as(path)) {
    return answer_error(response, Protocol::ollama, 500,
                        fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  }
  response.status = 201;
}

// The new model's texts: those of where it comes from, with what the request says.
ModelTexts texts_of(const Json& body, ModelTexts texts) {
  const auto take = [&](const char* key, std::string& text) {
    if (const Json value = body.value(key, Json()); value.is_string()) text = value;
  };
  take("template", texts.chat_template);
  take("system", texts.system);
  take("license", texts.license);
  if (const Json parameters = body.value("parameters", Json()); parameters.is_object()) {
    Json all = Json::parse(texts.parameters, nullptr, false);
    if (!all.is_object()) all = Json::object();
    all.update(parameters);
    texts.parameters = json_text(all);
  }
  return texts;
}

// A model of another one (`from`), or of an uploaded GGUF file (`files`). Errors: invalid_argument.
Result<StoredModel> create(const Service& service, const std::string& name, const Json& body) {
  if (const Json from = body.value("from", Json()); from.is_string()) {
    const Result<CatalogModel> model = service.catalog.find(from.get<std::string>());
    return model.ok() ? copy_of(service, *model, name) : Result<StoredModel>(model.status());
  }
  const Json files = body.value("files", Json());
  if (!files.is_object() || files.size() != 1 || !files.begin().value().is_string()) {
    return Status(StatusCode::invalid_argument, "from, or files with one GGUF file, is required");
  }
  const std::string digest = files.begin().value().get<std::string>();
  const std::string path = blob_path(service, digest);
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) {
    return Status(StatusCode::invalid_argument, fmt::format("blob {} was not uploaded", digest));
  }
  PullOptions options = service.pull;
  options.names_only = false;
  options.name = name;
  Result<StoredModel> model = hypura::pull(*service.store, path, options);
  if (model.ok()) std::filesystem::remove(path, error);
  return model;
}

void create_model(Service& service, const httplib::Request& request, httplib::Response& response) {
  const std::optional<Json> body = json_body(request, response, Protocol::ollama);
  if (!body.has_value()) return;
  const std::string name = name_in(*body, response);
  if (name.empty()) return;
  for (const char* key : {"quantize", "adapters"}) {
    if (!body->contains(key) || (*body)[key].empty()) continue;
    return answer_error(response, Protocol::ollama, 400,
                        fmt::format("{} is not supported here: llama.cpp's tools do it", key));
  }
  const Result<StoredModel> model = create(service, name, *body);
  if (!model.ok()) return refuse(response, code_of(model.status()), model.status());
  const std::string beside = own_files_of(model->path).sidecar();
  Sidecar sidecar = read_sidecar(beside).value_or(Sidecar{.bytes = model->bytes});
  sidecar.texts = texts_of(*body, model->texts);
  if (Status status = write_sidecar(beside, sidecar); !status.ok()) {
    return refuse(response, 500, status);
  }
  if (body->value("stream", Json(true)) == false) {
    response.set_content(R"({"status":"success"})", "application/json; charset=utf-8");
  } else {
    response.set_content("{\"status\":\"writing manifest\"}\n{\"status\":\"success\"}\n", kLines);
  }
}

}  // namespace

void add_store_routes(httplib::Server& server, Service& service) {
  const auto guarded = [&service](auto route) {
    return [&service, route](const httplib::Request& request, httplib::Response& response) {
      if (service.store == nullptr || service.store->folders().models.empty()) {
        return answer_error(response, Protocol::ollama, 500,
                            "there is no folder for models: HYPURA_MODELS=DIR names one");
      }
      route(service, request, response);
    };
  };
  server.Post("/api/pull", guarded(pull_model));
  server.Post("/api/copy", guarded(copy_model));
  server.Post("/api/create", guarded(create_model));
  server.Delete("/api/delete", guarded(delete_model));
  server.Get(R"(/api/blobs/(.+))", guarded(has_blob));
  server.Post(R"(/api/blobs/(.+))",
              [&service](const httplib::Request& request, httplib::Response& response,
                         const httplib::ContentReader& reader) {
                if (service.store == nullptr || service.store->folders().models.empty()) {
                  return answer_error(response, Protocol::ollama, 500,
                                      "there is no folder for models: HYPURA_MODELS=DIR names one");
                }
                take_blob(service, request, response, reader);
              });
  server.Post("/api/push", [](const httplib::Request&, httplib::Response& response) {
    answer_error(response, Protocol::ollama, 501, "models are not pushed from here");
  });
}

}  // namespace hypura::ollama

#include "cli/plan/fetch_header.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/units.h"
#include "model/gguf_bounds.h"
#include "model/model_file.h"
#include "model/shard_names.h"
#include "store/curl_library.h"

namespace hypura::cli {
namespace {

constexpr uint64_t kFirstBytes = 4 * kMiB;
constexpr long kSeconds = 30;  // for an answer to begin, and between its parts
constexpr long kRedirectsMax = 5;
constexpr long kPartialContent = 206;

Status refuse(const std::string& url, const std::string& what) {
  return Status(StatusCode::failed, fmt::format("cannot fetch {}", url))
      .because(what)
      .suggest(
          "where the file is: hypura inspect MODEL --save-header FILE, and name that FILE here");
}

struct Part {
  std::string bytes;
  uint64_t file_bytes = 0;  // of the whole file
};

// One transfer, with what its callbacks need.
struct Transfer {
  const CurlLibrary& library;
  CURL* curl = nullptr;
  uint64_t bytes_max = 0;
  long status = 0;
  std::string bytes;
};

std::string part_of(const CurlLibrary& library, CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (library.url_get(url, part, &text, 0) != CURLUE_OK) return std::string();
  std::string copy = text;
  library.free(text);
  return copy;
}

// Whom the token may be told.
bool is_hugging_face(const CurlLibrary& library, const std::string& url) {
  const std::unique_ptr<CURLU, decltype(library.url_cleanup)> parts(library.url(),
                                                                    library.url_cleanup);
  if (library.url_set(parts.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return false;
  return part_of(library, parts.get(), CURLUPART_SCHEME) == "https" &&
         part_of(library, parts.get(), CURLUPART_HOST) == "huggingface.co";
}

// "bytes 0-4194303/9050000000"
bool parse_total(const std::string& range, uint64_t& total) {
  const size_t slash = range.find('/');
  if (slash == std::string::npos) return false;
  const char* begin = range.data() + slash + 1;
  const char* end = range.data() + range.size();
  const auto [stop, error] = std::from_chars(begin, end, total);
  return error == std::errc() && stop == end && total > 0;
}

// Ends the transfer of anything but a part, or of more than was asked for.
size_t take_bytes(char* data, size_t size, size_t count, void* to) {
  Transfer& transfer = *static_cast<Transfer*>(to);
  transfer.library.easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &transfer.status);
  if (transfer.status != kPartialContent) return 0;
  transfer.bytes.append(data, size * count);
  return transfer.bytes.size() <= transfer.bytes_max ? size * count : 0;
}

void set_options(const CurlLibrary& library, CURL* curl, const std::string& url) {
  const auto set = library.easy_setopt;
  // Nothing that was encrypted goes on in the clear, and no redirect leads to a file.
  const char* schemes = url.starts_with("https:") ? "https" : "http,https";
  set(curl, CURLOPT_URL, url.c_str());
  set(curl, CURLOPT_PROTOCOLS_STR, schemes);
  set(curl, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
  set(curl, CURLOPT_FOLLOWLOCATION, 1L);
  set(curl, CURLOPT_MAXREDIRS, kRedirectsMax);
  set(curl, CURLOPT_CONNECTTIMEOUT, kSeconds);
  set(curl, CURLOPT_LOW_SPEED_TIME, kSeconds);
  set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_USERAGENT, "hypura");
  // The library reads proxies from the environment; certificates, as curl itself does, we must.
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* file = std::getenv(name);
    if (file == nullptr || *file == '\0') continue;
    set(curl, CURLOPT_CAINFO, file);
    break;
  }
  // Sent to this host only, not where it redirects to.
  const char* token = std::getenv("HF_TOKEN");
  if (token == nullptr || *token == '\0' || !is_hugging_face(library, url)) return;
  set(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
  set(curl, CURLOPT_XOAUTH2_BEARER, token);
}

Status refuse_answer(const CurlLibrary& library, const std::string& url, long status) {
  if (status == 200) return refuse(url, "the server does not send parts of files");
  Status refused = refuse(url, fmt::format("the server answers {}", status));
  const bool secret = status == 401 || status == 403;
  if (!secret || !is_hugging_face(library, url)) return refused;
  return std::move(refused).suggest("HF_TOKEN=..., for models that ask for consent");
}

Result<Part> fetch(const CurlLibrary& library, const std::string& url, uint64_t bytes) {
  const std::unique_ptr<CURL, decltype(library.easy_cleanup)> curl(library.easy_init(),
                                                                   library.easy_cleanup);
  if (curl == nullptr) return refuse(url, "libcurl cannot be initialised");
  Transfer transfer{.library = library, .curl = curl.get(), .bytes_max = bytes};
  const std::string range = fmt::format("0-{}", bytes - 1);
  char error[CURL_ERROR_SIZE] = "";
  set_options(library, curl.get(), url);
  library.easy_setopt(curl.get(), CURLOPT_RANGE, range.c_str());
  library.easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, error);
  library.easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_bytes);
  library.easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  const CURLcode code = library.easy_perform(curl.get());
  library.easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &transfer.status);
  const bool redirects = code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_UNSUPPORTED_PROTOCOL;
  if (code == CURLE_PEER_FAILED_VERIFICATION) {
    return refuse(url, fmt::format("the server's certificate is not trusted: {}", error))
        .suggest("CURL_CA_BUNDLE=FILE with the certificates to trust");
  }
  if (transfer.status != 0 && transfer.status != kPartialContent && !redirects) {
    return refuse_answer(library, url, transfer.status);
  }
  if (code != CURLE_OK) return refuse(url, *error != '\0' ? error : library.easy_strerror(code));
  Part part{.bytes = std::move(transfer.bytes)};
  curl_header* total = nullptr;
  const CURLHcode found =
      library.easy_header(curl.get(), "Content-Range", 0, CURLH_HEADER, -1, &total);
  const bool known = found == CURLHE_OK && parse_total(total->value, part.file_bytes);
  if (!known) return refuse(url, "the server does not say how large the file is");
  return part;
}

// Whether what was fetched holds the whole header: nothing in it claims to lie behind its end.
Status check_complete(const ModelHeader::ShardHeader& shard) {
  const Result<HollowModel> cut = HollowModel::create(
      {.shards = {{.name = shard.name, .file_bytes = shard.bytes.size(), .bytes = shard.bytes}}});
  if (!cut.ok()) return cut.status();
  const Result<ModelFile> file = ModelFile::open(cut->path());
  return file.ok() ? check_gguf_bounds(*file) : file.status();
}

Result<ModelHeader::ShardHeader> fetch_shard(const CurlLibrary& library, const std::string& url) {
  ModelHeader::ShardHeader shard;
  shard.name = std::filesystem::path(url.substr(0, url.find('?'))).filename().string();
  if (shard.name.empty()) return refuse(url, "the address names no file");
  for (uint64_t bytes = kFirstBytes;; bytes *= 2) {
    Result<Part> part = fetch(library, url, bytes);
    if (!part.ok()) return part.status();
    shard.file_bytes = part->file_bytes;
    shard.bytes = std::move(part->bytes);
    const Status complete = check_complete(shard);
    if (complete.ok()) return shard;
    if (shard.bytes.size() >= shard.file_bytes || bytes >= kMetadataBytesMax) {
      return Status(complete.code(), fmt::format("{}: its header is no GGUF's", url))
          .because(complete.message());
    }
  }
}

}  // namespace

bool is_url(const std::string& model) {
  return model.starts_with("http://") || model.starts_with("https://");
}

Result<ModelHeader> fetch_header(const std::string& url) {
  const Result<const CurlLibrary*> library = curl_library();
  if (!library.ok()) return library.status();
  std::vector<std::string> urls = {url};
  if (std::optional<ShardName> name = parse_shard_name(url)) {
    urls.clear();
    for (name->number = 1; name->number <= name->count; ++name->number) {
      urls.push_back(to_path(*name));
    }
  }
  ModelHeader header;
  for (const std::string& one : urls) {
    Result<ModelHeader::ShardHeader> shard = fetch_shard(**library, one);
    if (!shard.ok()) return shard.status();
    header.shards.push_back(*std::move(shard));
  }
  return header;
}

}  // namespace hypura::cli

#include "store/curl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace hypura {
namespace {

#if defined(__APPLE__)
constexpr const char* kName = "/usr/lib/libcurl.4.dylib";
constexpr const char* kFix = "macOS 13 or newer, which brings it";
#else
constexpr const char* kName = "libcurl.so.4";
constexpr const char* kFix = "apt-get install libcurl4";
#endif

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

bool find_all(void* library, CurlLibrary& curl) {
  return find(library, "curl_global_init", curl.global_init) &&
         find(library, "curl_easy_init", curl.easy_init) &&
         find(library, "curl_easy_cleanup", curl.easy_cleanup) &&
         find(library, "curl_easy_setopt", curl.easy_setopt) &&
         find(library, "curl_easy_getinfo", curl.easy_getinfo) &&
         find(library, "curl_easy_perform", curl.easy_perform) &&
         find(library, "curl_easy_strerror", curl.easy_strerror) &&
         find(library, "curl_easy_header", curl.easy_header) &&
         find(library, "curl_url", curl.url) &&
         find(library, "curl_url_cleanup", curl.url_cleanup) &&
         find(library, "curl_url_set", curl.url_set) &&
         find(library, "curl_url_get", curl.url_get) && find(library, "curl_free", curl.free) &&
         find(library, "curl_slist_append", curl.slist_append) &&
         find(library, "curl_slist_free_all", curl.slist_free_all);
}

Result<CurlLibrary> load() {
  const auto refuse = [](const char* why) {
    return Status(StatusCode::failed, fmt::format("cannot load {}", kName))
        .because(why == nullptr ? "it is older than 7.85" : why)
        .suggest(kFix);
  };
  void* library = ::dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return refuse(::dlerror());
  CurlLibrary curl;
  if (!find_all(library, curl)) return refuse(::dlerror());
  if (const CURLcode code = curl.global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK) {
    return refuse(curl.easy_strerror(code));
  }
  return curl;
}

}  // namespace

Result<const CurlLibrary*> curl_library() {
  static const Result<CurlLibrary> loaded = load();
  if (!loaded.ok()) return loaded.status();
  return &*loaded;
}

}  // namespace hypura

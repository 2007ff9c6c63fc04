#pragma once

#include <string>
#include <string_view>

namespace hypura {

// Who may ask a server for what. Pure.
struct HttpRules {
  std::string host = "127.0.0.1";  // that the server listens on
  std::string api_key;             // empty: none is needed
  std::string cors_origin;         // that pages of may ask, "*" for all; empty: only our own
};

// What a request says about itself; empty where it says nothing.
struct HttpIdentity {
  std::string_view host;           // header Host
  std::string_view origin;         // header Origin
  std::string_view authorization;  // header Authorization
  std::string_view api_key;        // header x-api-key
};

enum class Verdict { allowed, foreign_host, foreign_origin, wrong_key };

// Whether a server on a loopback address is asked by that name: a page elsewhere that has its own
// name resolve to this machine (DNS rebinding) is not.
bool is_own_host(const HttpRules& rules, std::string_view host);
// Whether a page of `origin` may ask. A browser says it for pages of other sites.
bool is_allowed_origin(const HttpRules& rules, std::string_view origin, std::string_view host);
// `open`: no key is needed for it, as for /health.
Verdict judge(const HttpRules& rules, const HttpIdentity& identity, bool open);

bool is_loopback(std::string_view host);

}  // namespace hypura

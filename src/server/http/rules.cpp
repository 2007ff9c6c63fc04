#include "server/http/rules.h"

#include <cstddef>

namespace hypura {
namespace {

constexpr std::string_view kBearer = "Bearer ";

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

// Takes as long for a wrong key as for a right one.
bool same_key(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

bool has_key(const HttpRules& rules, const HttpIdentity& identity) {
  if (same_key(identity.api_key, rules.api_key)) return true;
  return identity.authorization.starts_with(kBearer) &&
         same_key(identity.authorization.substr(kBearer.size()), rules.api_key);
}

}  // namespace

bool is_loopback(std::string_view host) {
  const bool numbers = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || (numbers && host.starts_with("127.")) || host == "::1" ||
         host == "[::1]";
}

bool is_own_host(const HttpRules& rules, std::string_view host) {
  if (!is_loopback(rules.host) || host.empty()) return true;
  const std::string_view name = without_port(host);
  return is_loopback(name) || name == rules.host;
}

bool is_allowed_origin(const HttpRules& rules, std::string_view origin, std::string_view host) {
  if (origin.empty() || rules.cors_origin == "*" || origin == rules.cors_origin) return true;
  const size_t name = origin.find("://");
  return name != std::string_view::npos && origin.substr(name + 3) == host;
}

Verdict judge(const HttpRules& rules, const HttpIdentity& identity, bool open) {
  if (!is_own_host(rules, identity.host)) return Verdict::foreign_host;
  if (!is_allowed_origin(rules, identity.origin, identity.host)) return Verdict::foreign_origin;
  if (!open && !rules.api_key.empty() && !has_key(rules, identity)) return Verdict::wrong_key;
  return Verdict::allowed;
}

}  // namespace hypura

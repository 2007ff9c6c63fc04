#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hypura {

// How many bytes a request has, by its head. Pure.
struct RequestSize {
  size_t head_bytes = 0;                // with the empty line
  std::optional<uint64_t> body_bytes;  // nullopt: it is not said, or not before the client may send
};

// nullopt while the head is not complete. What is no HTTP has a size, too: who parses it says so.
std::optional<RequestSize> request_size(std::string_view bytes);

}  // namespace hypura

#pragma once

#include <cstdint>

namespace hypura {

// Resident memory of this process: anonymous and file pages, in bytes. 0 where the system does not
// tell.
uint64_t resident_bytes();
uint64_t peak_resident_bytes();

// Memory this process may still take without pushing anybody out: what the system has available,
// or less where a control group (v1 or v2, any level of it) or container limits it. Page cache that
// the group could drop counts as available.
uint64_t available_bytes();

}  // namespace hypura

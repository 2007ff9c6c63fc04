#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hypura {

// Resident memory of this process: anonymous and file pages, in bytes. 0 where the system does not
// tell.
uint64_t resident_bytes();
uint64_t peak_resident_bytes();

// Memory of this process that is no file's: heap, stacks, arenas, and what relocation wrote.
uint64_t anonymous_bytes();
// The most that its program and libraries take: the size of their mappings, present or not; of those
// that are mostly absent, as CUDA's, what is present and 64 MiB. Their pages can be dropped and read
// again; those that were written to are anonymous_bytes(). Files that are mapped for their data do not
// count: `data_files` by path.
uint64_t program_bytes(const std::vector<std::string>& data_files);

// Memory this process may still take without pushing anybody out: what the system has available,
// or less where a control group (v1 or v2, any level of it) or container limits it. Page cache that
// the group could drop counts as available.
uint64_t available_bytes();

// What control groups (any level) or a container limit this process to; 0 if that is no less than
// the machine has.
uint64_t limit_bytes();

}  // namespace hypura

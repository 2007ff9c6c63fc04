#pragma once

#include <string>
#include <vector>

namespace hypura {

enum class CacheDrop {
  everything,  // of the whole system
  files,       // only what was asked for, and only where nobody has it mapped
  nothing,     // the system does not let us
};

// Whether a file's only home is memory (tmpfs, ramfs): mapping it costs nothing, reading it a copy.
bool lies_in_memory(const std::string& file);

// Drops what the page cache holds of one file, but for pages that somebody has mapped or changed.
// False where the system does not let us.
bool drop_file_cache(const std::string& file);

// Makes the next reads of `files` come from the drive: empties the system's page cache where this
// process may, else drops these files from it.
CacheDrop drop_page_cache(const std::vector<std::string>& files);

}  // namespace hypura

// Property: whatever the bytes, the head is read or refused within them; more bytes of the same
// file never take back what fewer told.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/gguf_head.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(bytes), size);
  const auto all = penstock::control::ParseGgufHead(file, false);
  const auto half = penstock::control::ParseGgufHead(file.substr(0, size / 2), false);
  if (all && half && half->architecture != all->architecture && !half->architecture.empty() &&
      all->architecture.empty()) {
    std::abort();
  }
  if (penstock::control::ParseGgufHead(file, true) && !all) std::abort();
  return 0;
}

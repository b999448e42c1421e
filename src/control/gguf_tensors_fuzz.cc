// Property: whatever the bytes, the tensors' end is found or refused within them, and more bytes of
// the same file never move an end that fewer told.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/gguf_tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(bytes), size);
  const auto half = penstock::control::FindGgufTensorsEnd(file.substr(0, size / 2));
  const auto all = penstock::control::FindGgufTensorsEnd(file);
  if (!half && all) std::abort();
  if (half && *half && (!all || !*all || (*all)->at != (*half)->at)) std::abort();
  return 0;
}

// Property: no bytes crash the reader, and each prompt that was read ends with a user's turn.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bench/workload/data_set.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto set = penstock::bench::DataSet::Parse(text);
  if (!set) {
    if (set.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& item : set->items) {
    if (item.opening.empty()) std::abort();
    if (item.opening.back().role != penstock::bench::Message::Role::kUser) std::abort();
  }
  return 0;
}

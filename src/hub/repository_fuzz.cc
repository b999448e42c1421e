// Property: whatever a hub answers, the files to pull have paths that stay in their folder and
// sizes within the limit.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hub/repository.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const auto repository =
      penstock::hub::ParseRepository(std::string_view(reinterpret_cast<const char*>(bytes), size));
  if (!repository) return 0;
  const auto files = penstock::hub::ChooseFiles(*repository, "");
  if (!files) return 0;
  for (const auto& file : *files) {
    if (file.path.empty() || file.path.front() == '/' || file.size < 0 ||
        file.size > penstock::hub::kFileBytesMax) {
      std::abort();
    }
    if (file.path.starts_with("../") || file.path.find("/../") != std::string::npos) std::abort();
  }
  return 0;
}

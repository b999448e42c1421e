// Property: whatever the text, parsing ends; a model that is servable has a task that is served.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "convert/ml_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const auto model =
      penstock::convert::ParseMlModel(std::string_view(reinterpret_cast<const char*>(bytes), size));
  if (!model) return 0;
  if (penstock::convert::CheckServable(*model) &&
      !penstock::convert::IsServedTask(penstock::convert::TaskOf(*model))) {
    std::abort();
  }
  return 0;
}

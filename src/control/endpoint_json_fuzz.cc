// Property: whatever is sent, it is refused with a bounded message or read; what was read is
// written so that it reads the same again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/endpoint_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using penstock::control::EndpointDefinitionJson;
  using penstock::control::ParseEndpointDefinition;
  const std::string_view body(reinterpret_cast<const char*>(bytes), size);
  const auto parsed = ParseEndpointDefinition(body);
  if (!parsed) {
    constexpr std::size_t kMessageMax = 4096;
    if (parsed.error().message.size() > kMessageMax) std::abort();
    return 0;
  }
  const auto written = EndpointDefinitionJson(*parsed);
  const auto again = ParseEndpointDefinition(written);
  if (!again || EndpointDefinitionJson(*again) != written) std::abort();
  return 0;
}

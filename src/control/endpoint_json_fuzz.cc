// Property: whatever is sent, it is refused with a bounded message or read; what was read is
// written so that it reads the same again.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "control/endpoint_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using penstock::control::Endpoint;
  using penstock::control::EndpointRecordJson;
  using penstock::control::ParseEndpointDefinition;
  const std::string_view body(reinterpret_cast<const char*>(bytes), size);
  auto parsed = ParseEndpointDefinition(body);
  if (!parsed) {
    constexpr std::size_t kMessageMax = 4096;
    if (parsed.error().message.size() > kMessageMax) std::abort();
    return 0;
  }
  Endpoint endpoint;
  endpoint.name = parsed->name;
  endpoint.description = parsed->description;
  endpoint.tags = parsed->tags;
  endpoint.config = std::move(parsed->config);
  endpoint.gateway = parsed->gateway;
  endpoint.notifications = parsed->notifications;
  endpoint.last_version = 1;
  const auto written = EndpointRecordJson(endpoint);
  Endpoint again;
  if (!ReadEndpointRecord(written, again) || EndpointRecordJson(again) != written) std::abort();
  return 0;
}

#include "app/static_endpoint.h"

#include <utility>

#include <fmt/format.h>

#include "control/names.h"
#include "http/url.h"
#include "io/address.h"

namespace penstock::app {

namespace {

constexpr const char* kFlag = "--static-endpoint";

// The fleet counts its replicas from 1; these live far above.
constexpr std::uint64_t kFirstStaticReplica = std::uint64_t{1} << 48;

std::unexpected<Error> Refuse(std::string_view text, const std::string& reason) {
  return Fail(Code::kInvalidArgument, fmt::format("{} {}: {}", kFlag, text, reason), kFlag);
}

Result<std::string> AddressOf(std::string_view text, std::string_view url_text) {
  const auto url = http::Url::Parse(url_text);
  if (!url) return Refuse(text, url.error().message);
  if (url->scheme == http::Url::Scheme::kHttps) return Refuse(text, "https is not supported here");
  if (url->path != "/" && url->path != "/v1" && url->path != "/v1/") {
    return Refuse(text, fmt::format("the path must be empty or /v1, not {}", url->path));
  }
  if (url->scheme == http::Url::Scheme::kUnix) return "unix:" + url->host;
  const auto address = io::ResolveBlocking(url->host, url->port);
  if (!address) return Refuse(text, address.error().message);
  return address->ToString();
}

}  // namespace

Result<policy::EndpointRoute> ParseStaticEndpoint(std::string_view text,
                                                  std::uint64_t first_replica, WallTime now) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return Refuse(text, "expected NAME=URL[,URL]");
  policy::EndpointRoute route;
  route.name = text.substr(0, equals);
  if (const Status named = control::CheckEndpointName(route.name, kFlag); !named) {
    return Refuse(text, named.error().message);
  }
  route.id = "static-" + route.name;
  route.created_at = now;
  policy::ServedRoute& served = route.served.emplace_back();
  served.name = route.name;
  std::string_view urls = text.substr(equals + 1);
  while (!urls.empty()) {
    const std::size_t comma = urls.find(',');
    auto address = AddressOf(text, urls.substr(0, comma));
    if (!address) return Fail(address.error());
    served.replicas.push_back(
        {.id = first_replica + served.replicas.size(), .address = std::move(*address)});
    urls = comma == std::string_view::npos ? "" : urls.substr(comma + 1);
  }
  if (served.replicas.empty()) return Refuse(text, "expected NAME=URL[,URL]");
  return route;
}

Result<std::vector<policy::EndpointRoute>> ParseStaticEndpoints(
    const std::vector<std::string>& texts, WallTime now) {
  std::vector<policy::EndpointRoute> routes;
  std::uint64_t next = kFirstStaticReplica;
  for (const std::string& text : texts) {
    auto route = ParseStaticEndpoint(text, next, now);
    if (!route) return Fail(route.error());
    next += route->served[0].replicas.size();
    routes.push_back(std::move(*route));
  }
  return routes;
}

}  // namespace penstock::app

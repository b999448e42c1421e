// From a URL to a server's address.
#include "http/origin.h"

namespace penstock::http {

Result<Origin> Origin::From(const Url& url) {
  Origin origin;
  origin.host = url.HostField();
  if (url.scheme == Url::Scheme::kUnix) {
    origin.address = {.kind = io::Address::Kind::kUnix, .host = url.host};
    return origin;
  }
  const bool brackets = url.host.find(':') != std::string::npos;
  auto address = io::Address::Parse((brackets ? "[" + url.host + "]" : url.host) + ":" +
                                    std::to_string(url.port));
  if (!address) return Fail(std::move(address).error());
  origin.address = *std::move(address);
  if (url.scheme == Url::Scheme::kHttps) origin.connect.tls_server_name = url.host;
  return origin;
}

}  // namespace penstock::http

#include "bench/drive/resolve.h"

#include "http/url.h"
#include "io/tls.h"

namespace penstock::bench {

Result<http::Origin> ResolveOrigin(const Endpoint& endpoint, bool insecure) {
  auto url = http::Url::Parse(endpoint.origin);
  if (!url) return Fail(url.error());
  http::Url numeric = *url;
  if (url->scheme != http::Url::Scheme::kUnix) {
    const auto address = io::ResolveBlocking(url->host, url->port);
    if (!address) return Fail(Code::kUnavailable, address.error().message, "url");
    numeric.host = address->host;
  }
  auto origin = http::Origin::From(numeric);
  if (!origin) return Fail(origin.error());
  origin->host = url->HostField();
  if (url->scheme == http::Url::Scheme::kHttps) {
    auto tls = io::TlsContext::ForClient({.ca_file = "", .insecure = insecure});
    if (!tls) return Fail(tls.error());
    origin->connect.tls = std::move(*tls);
    origin->connect.tls_server_name = url->host;
  }
  return origin;
}

}  // namespace penstock::bench

// Origin: a server that requests go to, as connections to it are pooled.
#pragma once

#include <string>

#include "base/result.h"
#include "http/url.h"
#include "io/address.h"
#include "io/loop.h"

namespace penstock::http {

struct Origin {
  io::Address address;
  io::ConnectOptions connect;  // TLS, if any.
  std::string host;            // The host field.

  // From a URL whose host is numeric, "localhost" or a Unix socket (other names: resolve first,
  // with io::ResolveBlocking off the loop). `connect.tls` stays for the caller to set, for kHttps
  // too. Errors: kInvalidArgument.
  static Result<Origin> From(const Url& url);
};

}  // namespace penstock::http

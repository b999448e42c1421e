// Resolve: where an endpoint's server is.
#pragma once

#include "base/result.h"
#include "bench/drive/endpoint.h"
#include "http/origin.h"

namespace penstock::bench {

// Name resolution blocks, so that this comes before the loops. Errors: kInvalidArgument (URL),
// kUnavailable (no such name), those of TLS.
Result<http::Origin> ResolveOrigin(const Endpoint& endpoint, bool insecure);

}  // namespace penstock::bench

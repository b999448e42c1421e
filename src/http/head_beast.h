// Boost.Beast's reading of a request's head, for comparison. Tests only.
#pragma once

#include <string_view>

#include "http/head.h"

namespace penstock::http {

// Whether Beast takes `bytes` for one whole head, with no line folded; fills in method, target,
// version and fields.
bool ReadByBeast(std::string_view bytes, RequestHead& head);

}  // namespace penstock::http

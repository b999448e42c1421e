// The short way to what PeekRequest() finds; for the files of this folder only.
#pragma once

#include <string_view>

#include "api/padded_view.h"
#include "api/peek.h"
#include "base/result.h"

namespace penstock::internal {

// Fills `peek` as the full parser would. False: the body is none of the plain kind (see QuickJson),
// has a field that is rare, or one that is to be refused; `peek` may hold anything.
bool QuickPeek(std::string_view body, RequestPeek& peek);

// PeekRequest(), always by the full parser.
Result<RequestPeek> PeekInFull(PaddedView body);

}  // namespace penstock::internal
